"""Train the built-in generator's tokenizer: byte-level BPE over lower-cased text, with distinct pad, start and end tokens.

Queries are matched without regard to case (BM25 and the encoders lower-case), so case would only spend vocabulary.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from settings import read_section
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, START, END = "<pad>", "<s>", "</s>"


def main(argv: list[str] | None = None) -> None:
    """Read the collected text, write a Hugging Face tokenizer folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    size = read_section(arguments.params, "train_tokenizer")["vocabulary_size"]
    rows = [json.loads(line) for line in arguments.text.read_text(encoding="utf8").splitlines()]
    train([f"{row['summary']} {row['body']}" for row in rows], size).save_pretrained(arguments.output)


def train(texts: list[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """A fast tokenizer of ``vocabulary_size`` tokens that puts the start token before every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A {START} $B", special_tokens=[(START, tokenizer.token_to_id(START))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        padding_side="left",
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


if __name__ == "__main__":
    main()
