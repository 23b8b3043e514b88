"""Train a retriever, ColBERT or dense, on the Hugging Face trainer: checkpoint chosen on dev, resumable, quiet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from sentence_transformers import (
    MultiVectorEncoder,
    MultiVectorEncoderTrainer,
    MultiVectorEncoderTrainingArguments,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)

from tandem.formats.texts import texts_of
from tandem.records import Document, RankingRow, group_numbers
from tandem.retrievers.examples import build_training_set
from tandem.retrievers.losses import MaskedContrastiveLoss, colbert_scores, dense_scores
from tandem.retrievers.prompts import column_roles
from tandem.runtime.distributed import world_size
from tandem.runtime.encoders import check_length
from tandem.runtime.training import DevEvaluator, DevScore, Trained, summarise, train_and_select, trainer_settings

__all__ = ["train_retriever"]


def train_retriever(
    model: Any,
    pairs: Sequence[tuple[str, str]],
    documents: Sequence[Document],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    warmup_ratio: float,
    temperature: float,
    negatives: int,
    evaluations: int,
    training_document_tokens: int | None = None,
    mined: Sequence[RankingRow] = (),
    distillation: Mapping[str, Any] | None = None,
    dev_score: DevScore,
    identical: Mapping[str, set[str]] | None = None,
    scratch: Path,
    bf16: bool,
    seed: int,
) -> Trained:
    """Train in place for a fixed number of steps and leave the model at the step that :func:`tandem.runtime.training.choose_step` names.

    The trainer's token ids are those of ``encode_query`` and ``encode_document``: prompts, markers and expansion included.

    With no pair there is nothing to learn from, and the model stays as it is.

    Args:
        model: a MultiVectorEncoder or a SentenceTransformer.
        pairs: (query text, doc_id).
        documents: the corpus; negatives are sampled from it.
        steps: optimiser steps.
        batch_size: rows a step and device.
        learning_rate: peak; linear decay after the warm-up.
        warmup_ratio: of the steps.
        temperature: that scores are divided by: about 1 for MaxSim, .05 for cosine.
        negatives: sampled documents a row, beside the in-batch ones.
        training_document_tokens: cut documents here while training a ColBERT; the model keeps its own length for search.
        mined: see :func:`tandem.retrievers.examples.build_training_set`.
        distillation: ``distillation``, its weights and ``teacher_temperature`` of the loss; None learns from no teacher.
        evaluations: how often, evenly spaced, the dev score is taken.
        identical: see :func:`tandem.retrievers.examples.build_training_set`.
        dev_score: a value for each dev query, higher is better; called with the model.
        scratch: checkpoints live here; a run that finds one goes on from it.
        bf16: train under bfloat16 autocast.
        seed: of dropout.
    """
    if not pairs:
        return Trained([], [(0, summarise(dev_score(model))[0])], 0)
    training_set = build_training_set(
        pairs,
        texts_of(documents),
        group_numbers(documents),
        rows=steps * batch_size * world_size(),
        negatives=negatives,
        mined=mined,
        taught=(distillation or {}).get("distillation", "off") != "off",
        identical=identical,
        seed=seed,
    )
    late = isinstance(model, MultiVectorEncoder)
    trainer_class = MultiVectorEncoderTrainer if late else SentenceTransformerTrainer
    arguments = (MultiVectorEncoderTrainingArguments if late else SentenceTransformerTrainingArguments)(
        **_text_settings(model, training_set.columns, training_document_tokens if late else None),
        **trainer_settings(steps=steps, batch_size=batch_size, evaluations=evaluations, scratch=scratch),
        learning_rate=learning_rate,
        warmup_steps=round(steps * warmup_ratio),
        use_cpu=str(model.device) == "cpu",
        bf16=bf16,
        seed=seed,
    )
    loss = MaskedContrastiveLoss(
        model,
        score=colbert_scores if late else dense_scores,
        temperature=temperature,
        relevant=training_set.relevant,
        **(distillation or {}),
    )
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(training_set.columns),
        loss=loss,
        evaluator=DevEvaluator(dev_score),
    )
    return train_and_select(trainer, model, dev_score, scratch)


def _text_settings(model: Any, columns: Iterable[str], document_tokens: int | None) -> dict[str, Any]:
    """What the trainer's collator does with each column's texts: the prompt and the task of search, and the training length."""
    check_length(model[0].auto_model, document_tokens, key="train_retriever.training_document_tokens")
    roles = column_roles(columns)
    lengths = {"max_length": {"document": document_tokens}} if document_tokens else {}
    return {"prompts": {name: model.prompts[role] for name, role in roles.items()}, "router_mapping": roles, **lengths}
