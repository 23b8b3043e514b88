"""Supervised fine-tuning of the generator on labelled pairs: LoRA, loss on the query alone (TRL)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import model_validator

from tandem.formats.corpus import Corpus
from tandem.generators.examples import draw_examples
from tandem.generators.keywords import content_words, document_frequencies, offer_keywords
from tandem.generators.prompts import PromptedSettings, QueryPrompts
from tandem.generators.trainers import EpochSettings, FineTuned, epoch_arguments, merge_trained, train_adapter
from tandem.llm.causal_lm import end_at_line_breaks, load_causal_lm, save_causal_lm
from tandem.records import Document, LabelledPair
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["GeneratorSettings", "SFTSettings", "fine_tune", "fine_tune_on_pairs", "supervised_rows"]


class SFTSettings(EpochSettings):
    """Supervised fine-tuning."""

    lora: Lora


class GeneratorSettings(SFTSettings):
    """The generator that the loop starts with: which model, and how it is fine-tuned."""

    base: str
    """smollm2 (SmolLM2-135M-Instruct), a Hugging Face id or a folder"""

    @model_validator(mode="after")
    def _has_a_base_of_today(self) -> GeneratorSettings:
        if self.base == "builtin":
            raise ValueError("base: 'builtin' found, which is no more; take smollm2 (`tandem migrate-params params.yaml` writes it)")
        return self


def supervised_rows(
    pairs: Sequence[tuple[str, str]],
    prompts: QueryPrompts,
    frequencies: Mapping[str, int],
    prompted: PromptedSettings,
    *,
    seed: int,
) -> list[dict[str, str]]:
    """Prompt and completion of each (document, query) pair; the prompt's keywords are words that the two share.

    They are offered as sampling offers them, none included, so that the model learns to use them and to do without.

    Args:
        pairs: texts of a document and of a query.
        prompts: how the generator's prompts are made.
        frequencies: of words, over the whole corpus.
        prompted: which keywords a prompt offers.
        seed: of the keywords.
    """
    rng, prompt = random.Random(f"sft:{seed}"), prompted.prompt
    keywords = []
    for document, query in pairs:
        document_words = set(content_words(document, prompted.language, prompt.ignored_words))
        shared = [word for word in content_words(query, prompted.language, prompt.ignored_words) if word in document_words]
        keywords.append(offer_keywords(shared, frequencies, least=0, most=prompt.keywords, rng=rng))
    rendered = prompts.render([document for document, _ in pairs], keywords)
    return [{"prompt": text, "completion": prompts.completion(query)} for text, (_, query) in zip(rendered, pairs, strict=True)]


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, str]],
    dev_rows: Sequence[dict[str, str]],
    settings: SFTSettings,
    *,
    compute: Compute,
) -> FineTuned:
    """Train an adapter on prompts and completions, then merge it.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        rows: from :func:`supervised_rows`; the loss is on the completion and its end token.
        dev_rows: their loss is taken after each epoch; may be empty.
        settings: of the training.
        compute: where and how.
    """
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(**epoch_arguments(settings, rows, dev_rows, compute=compute), packing=False)
    trainer = train_adapter(SFTTrainer, arguments, model, tokenizer, rows, dev_rows=dev_rows, adapter=settings.lora)
    return merge_trained(trainer, tokenizer, rows[0]["prompt"])


def fine_tune_on_pairs(
    documents: Sequence[Document],
    train: Sequence[LabelledPair],
    dev: Sequence[LabelledPair],
    folder: Path,
    settings: SFTSettings,
    *,
    base: str,
    prompted: PromptedSettings,
    compute: Compute,
) -> FineTuned:
    """Fine-tune a generator on labelled pairs and write it, with how its prompts are made; with no pairs, write it as it is.

    Args:
        documents: the corpus; word frequencies are taken over all of it.
        train: pairs to learn from.
        dev: pairs whose loss is reported.
        folder: to write the model and its tokenizer into.
        settings: of the training.
        base: a name for :func:`tandem.llm.causal_lm.load_causal_lm`.
        prompted: how a prompt is made.
        compute: where and how.
    """
    model, tokenizer = load_causal_lm(base, device=compute.device, key="base")
    texts = Corpus.of(documents).texts
    prompt = prompted.prompt
    examples = draw_examples(prompted, train, texts, seed=compute.seed)
    prompts = QueryPrompts(tokenizer, prompt, examples=examples)
    frequencies = document_frequencies(texts.values(), prompted.language, prompt.ignored_words)
    train_rows, dev_rows = (
        supervised_rows([(texts[pair.doc_id], pair.text) for pair in pairs], prompts, frequencies, prompted, seed=compute.seed)
        for pairs in (train, dev)
    )
    fitted = FineTuned(model, [], [], 0.0)
    if train_rows:
        fitted = fine_tune(model, tokenizer, train_rows, dev_rows, settings, compute=compute)
    if prompts.one_line:
        end_at_line_breaks(fitted.model, tokenizer)
    save_causal_lm(fitted.model, tokenizer, folder)
    prompts.save(folder)
    return fitted
