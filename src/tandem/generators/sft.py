"""Supervised fine-tuning of the generator on labelled pairs: LoRA, loss on the query alone (TRL)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tandem.formats.texts import texts_of
from tandem.generators.base import load_generator, save_generator
from tandem.generators.keywords import content_words, document_frequencies, offer_keywords
from tandem.generators.prompts import completion_text, render_prompts
from tandem.generators.trainers import epoch_settings, train_whole
from tandem.records import Document, LabelledPair
from tandem.runtime.lora import adapter_config, merge_adapter
from tandem.text import Language

__all__ = ["FineTuned", "fine_tune", "fine_tune_on_pairs", "supervised_rows"]


@dataclass(frozen=True, slots=True)
class FineTuned:
    """The merged model, its loss curves as (step, loss), and the largest difference that merging made to a logit."""

    model: Any
    loss: list[tuple[int, float]]
    dev_loss: list[tuple[int, float]]
    merge_difference: float


def supervised_rows(
    pairs: Sequence[tuple[str, str]],
    tokenizer: Any,
    frequencies: Mapping[str, int],
    *,
    template: str,
    max_document_tokens: int,
    max_keywords: int,
    language: Language = "english",
    ignored_words: Sequence[str] = (),
    seed: int,
) -> list[dict[str, str]]:
    """Prompt and completion of each (document, query) pair; the prompt's keywords are words that the two share.

    They are offered as sampling offers them, none included, so that the model learns to use them and to do without.
    """
    rng = random.Random(f"sft:{seed}")
    keywords = []
    for document, query in pairs:
        inside = set(content_words(document, language, ignored_words))
        shared = [word for word in content_words(query, language, ignored_words) if word in inside]
        keywords.append(offer_keywords(shared, frequencies, least=0, most=max_keywords, rng=rng))
    prompts = render_prompts(
        [document for document, _ in pairs],
        keywords,
        tokenizer,
        template=template,
        max_document_tokens=max_document_tokens,
    )
    queries = (completion_text(query, tokenizer) for _, query in pairs)
    return [{"prompt": prompt, "completion": query} for prompt, query in zip(prompts, queries, strict=True)]


def fine_tune(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, str]],
    dev_rows: Sequence[dict[str, str]],
    *,
    epochs: float,
    batch_size: int,
    learning_rate: float,
    lora_rank: int,
    lora_alpha: int,
    lora_dropout: float,
    scratch: Path,
    bf16: bool,
    seed: int,
) -> FineTuned:
    """Train an adapter on prompts and completions, then merge it.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        rows: from :func:`supervised_rows`; the loss is on the completion and its end token.
        dev_rows: their loss is taken after each epoch; may be empty.
        epochs: passes over the rows.
        batch_size: rows a step and device.
        learning_rate: peak; cosine decay after a tenth of warm-up.
        lora_rank: of the adapter.
        lora_alpha: its scale is alpha over rank.
        lora_dropout: on the adapter's input.
        scratch: checkpoints live here; a run that finds one goes on from it.
        bf16: train under bfloat16 autocast.
        seed: of order, dropout and the adapter's start.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    settings = SFTConfig(
        **epoch_settings(
            rows=len(rows),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            scratch=scratch,
            cpu=model.device.type == "cpu",
            bf16=bf16,
            seed=seed,
        ),
        per_device_eval_batch_size=batch_size,
        packing=False,
        logging_steps=1,
        eval_strategy="epoch" if dev_rows else "no",
    )
    torch.manual_seed(seed)
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(list(rows)),
        eval_dataset=Dataset.from_list(list(dev_rows)) if dev_rows else None,
        processing_class=tokenizer,
        peft_config=adapter_config(rank=lora_rank, alpha=lora_alpha, dropout=lora_dropout),
    )
    train_whole(trainer, scratch)
    history = trainer.state.log_history
    example = tokenizer([rows[0]["prompt"]], return_tensors="pt").to(model.device)
    merged, difference = merge_adapter(trainer.model, {key: example[key] for key in ("input_ids", "attention_mask")})
    return FineTuned(
        merged,
        [(row["step"], row["loss"]) for row in history if "loss" in row],
        [(row["step"], row["eval_loss"]) for row in history if "eval_loss" in row],
        difference,
    )


def fine_tune_on_pairs(
    documents: Sequence[Document],
    train: Sequence[LabelledPair],
    dev: Sequence[LabelledPair],
    folder: Path,
    *,
    base: str,
    template: str,
    document_tokens: int,
    keywords: int,
    ignored_words: Sequence[str] = (),
    language: Language = "english",
    device: str,
    seed: int,
    **settings: Any,
) -> FineTuned:
    """Fine-tune a generator on labelled pairs and write it; with no pairs, write it as it is.

    Args:
        documents: the corpus; word frequencies are taken over all of it.
        train: pairs to learn from.
        dev: pairs whose loss is reported.
        folder: to write the model and its tokenizer into.
        base: a name for :func:`tandem.generators.base.resolve_generator`.
        template: of the prompt.
        document_tokens: of a document in the prompt.
        keywords: in a prompt, at most.
        ignored_words: of :func:`tandem.generators.keywords.content_words`.
        language: see there.
        device: to train on.
        seed: of everything random.
        settings: of :func:`fine_tune`.
    """
    model, tokenizer = load_generator(base, device=device)
    texts = texts_of(documents)
    frequencies = document_frequencies(texts.values(), language, ignored_words)
    train_rows, dev_rows = (
        supervised_rows(
            [(texts[pair.doc_id], pair.text) for pair in pairs],
            tokenizer,
            frequencies,
            template=template,
            max_document_tokens=document_tokens,
            max_keywords=keywords,
            language=language,
            ignored_words=ignored_words,
            seed=seed,
        )
        for pairs in (train, dev)
    )
    fitted = FineTuned(model, [], [], 0.0)
    if train_rows:
        fitted = fine_tune(model, tokenizer, train_rows, dev_rows, seed=seed, **settings)
    save_generator(fitted.model, tokenizer, folder, prompt={"template": template, "document_tokens": document_tokens})
    return fitted
