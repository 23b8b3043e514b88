"""Train a retriever, ColBERT or dense, on the Hugging Face trainer: checkpoint chosen on dev, resumable, quiet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from sentence_transformers.base.evaluation import BaseEvaluator

from tandem.formats.checkpoints import latest_checkpoint
from tandem.records import Document, document_text, group_numbers
from tandem.retrievers.examples import build_training_set
from tandem.retrievers.losses import MaskedContrastiveLoss, colbert_scores, dense_scores

__all__ = ["Trained", "train_retriever"]

METRIC = "dev_ndcg_at_10"


@dataclass(frozen=True, slots=True)
class Trained:
    """What training did: (step, loss) and (step, dev score) points, and the step whose weights the model now has."""

    loss: list[tuple[int, float]]
    dev: list[tuple[int, float]]
    best_step: int


class _DevEvaluator(BaseEvaluator):
    """Lets the trainer choose its checkpoint by any function of the model; the signature is sentence-transformers'."""

    def __init__(self, score: Callable[[Any], float]) -> None:
        super().__init__()
        self.score = score
        self.primary_metric = METRIC

    def __call__(self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1) -> dict[str, float]:  # noqa: ARG002
        return {METRIC: self.score(model)}


def train_retriever(
    model: Any,
    pairs: Sequence[tuple[str, str]],
    documents: Sequence[Document],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    warmup_share: float,
    scale: float,
    negatives: int,
    evaluations: int,
    training_document_tokens: int | None = None,
    dev_score: Callable[[Any], float],
    scratch: Path,
    bf16: bool,
    seed: int,
) -> Trained:
    """Train in place for a fixed number of steps and leave the model at its best dev score, step 0 included.

    With no pair there is nothing to learn from, and the model stays as it is.

    Args:
        model: a MultiVectorEncoder or a SentenceTransformer.
        pairs: (query text, doc_id).
        documents: the corpus; negatives are sampled from it.
        steps: optimiser steps.
        batch_size: rows a step and device.
        learning_rate: peak; linear decay after the warm-up.
        warmup_share: of the steps.
        scale: one over the temperature: about 1 for MaxSim, 20 for cosine.
        negatives: sampled documents a row, beside the in-batch ones.
        training_document_tokens: cut documents here while training a ColBERT; the model keeps its own length for search.
        evaluations: how often, evenly spaced, the dev score is taken.
        dev_score: higher is better; called with the model.
        scratch: checkpoints live here; a run that finds one goes on from it.
        bf16: train under bfloat16 autocast.
        seed: of dropout.
    """
    if not pairs:
        return Trained([], [(0, dev_score(model))], 0)
    training_set = build_training_set(
        pairs,
        {document.doc_id: document_text(document) for document in documents},
        group_numbers(documents),
        rows=steps * batch_size,
        negatives=negatives,
        seed=seed,
    )
    late = isinstance(model, MultiVectorEncoder)
    trainer_class = MultiVectorEncoderTrainer if late else SentenceTransformerTrainer
    lengths = {"max_length": {"document": training_document_tokens}} if late and training_document_tokens else {}
    arguments = (MultiVectorEncoderTrainingArguments if late else SentenceTransformerTrainingArguments)(
        **lengths,
        **_settings(steps=steps, batch_size=batch_size, evaluations=evaluations),
        output_dir=str(scratch / "checkpoints"),
        learning_rate=learning_rate,
        warmup_steps=round(steps * warmup_share),
        use_cpu=str(model.device) == "cpu",
        bf16=bf16,
        seed=seed,
    )
    loss = MaskedContrastiveLoss(model, score=colbert_scores if late else dense_scores, scale=scale, relevant=training_set.relevant)
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(training_set.columns),
        loss=loss,
        evaluator=_DevEvaluator(dev_score),
    )
    start = {name: value.detach().clone() for name, value in model.state_dict().items()}
    first_score = dev_score(model)
    trainer.train(resume_from_checkpoint=latest_checkpoint(scratch / "checkpoints"))
    history = trainer.state.log_history
    dev = [(0, first_score), *((row["step"], row[f"eval_{METRIC}"]) for row in history if f"eval_{METRIC}" in row)]
    best = max(dev, key=lambda point: (point[1], -point[0]))[0]
    if best == 0:
        model.load_state_dict(start)
    return Trained([(row["step"], row["loss"]) for row in history if "loss" in row], dev, best)


def _settings(*, steps: int, batch_size: int, evaluations: int) -> dict[str, Any]:
    """How the trainer steps, evaluates, saves and keeps the best checkpoint."""
    every = max(steps // evaluations, 1)
    return {
        "max_steps": steps,
        "per_device_train_batch_size": batch_size,
        "weight_decay": 0.01,
        "logging_steps": max(steps // 20, 1),
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": f"eval_{METRIC}",
        "dataloader_drop_last": True,
        "dataloader_pin_memory": False,
        "report_to": [],
        "disable_tqdm": False,
    }
