"""Train a reranker on the Hugging Face trainer: pointwise, pairwise or listwise; best checkpoint, early stop, resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from sentence_transformers import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder import losses
from torch.nn import Sigmoid
from transformers import EarlyStoppingCallback

from tandem.rerankers.ranking_data import Labelled, sample_groups
from tandem.rerankers.reranker import Reranker
from tandem.training import DevEvaluator, Trained, train_and_select, trainer_settings

__all__ = ["Loss", "build_columns", "train_reranker"]

Loss = Literal["point_ce", "point_mse", "margin_mse", "rank_net", "lambda", "list_ce"]


def train_reranker(
    reranker: Reranker,
    rows: Sequence[Labelled],
    *,
    loss: Loss,
    steps: int,
    batch_size: int,
    documents_per_query: int,
    learning_rate: float,
    warmup_share: float,
    evaluations: int,
    patience: int | None = None,
    dev_score: Callable[[Reranker], float],
    scratch: Path,
    bf16: bool,
    seed: int,
) -> Trained:
    """Train in place for a fixed number of steps and leave the reranker at its best dev score, step 0 included.

    Args:
        reranker: to train.
        rows: labelled.
        loss: ``point_ce`` (binary cross-entropy, soft labels allowed), ``point_mse`` (of the sigmoid), ``margin_mse``, ``rank_net``
            (Burges et al. 2005), ``lambda`` (LambdaLoss, Wang et al. 2018), ``list_ce`` (ListNet, Cao et al. 2007).
        steps: optimiser steps.
        batch_size: queries a step and device.
        documents_per_query: of a query in a step, one of the highest label among them.
        learning_rate: peak; linear decay after the warm-up.
        warmup_share: of the steps.
        evaluations: how often, evenly spaced, the dev score is taken.
        patience: stop after so many evaluations without a better score; None never stops.
        dev_score: higher is better; called with the reranker.
        scratch: checkpoints live here; a run that finds one goes on from it.
        bf16: train under bfloat16 autocast.
        seed: of samples and dropout.
    """
    groups = sample_groups(rows, groups=steps * batch_size, documents=documents_per_query, seed=seed)
    columns, width = build_columns(groups, loss)
    model = reranker.model
    arguments = CrossEncoderTrainingArguments(
        **trainer_settings(steps=steps, batch_size=batch_size * width, evaluations=evaluations, scratch=scratch),
        learning_rate=learning_rate,
        warmup_steps=round(steps * warmup_share),
        use_cpu=str(model.device) == "cpu",
        bf16=bf16,
        seed=seed,
    )

    def score(_: Any) -> float:
        return dev_score(reranker)

    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        loss=_loss(model, loss),
        evaluator=DevEvaluator(score),
        callbacks=[] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)],
    )
    return train_and_select(trainer, model, score, scratch)


def build_columns(groups: Sequence[Labelled], loss: Loss) -> tuple[dict[str, Any], int]:
    """Columns as the loss wants them, and how many rows a group has become.

    Pointwise losses take a row for each document: every group then has the same number of them, and the last ones of a longer group are
    left out. ``margin_mse`` likewise. Listwise losses take a row for each group.
    """
    shortest = min(len(documents) for _, documents in groups)
    if loss in ("point_ce", "point_mse"):
        rows = [(query, document, label) for query, documents in groups for document, label in documents[:shortest]]
        queries, documents, labels = (list(column) for column in zip(*rows, strict=True))
        return {"query": queries, "document": documents, "label": labels}, shortest
    if shortest < 2:
        raise ValueError(f"train_reranker.loss: {loss} compares documents, and a query has only one; use point_ce or add negatives")
    if loss == "margin_mse":
        columns: dict[str, Any] = {"query": [query for query, _ in groups]}
        for i in range(shortest):
            columns["positive" if i == 0 else f"negative_{i}"] = [documents[i][0] for _, documents in groups]
        columns["label"] = [[label for _, label in documents[:shortest]] for _, documents in groups]
        return columns, 1
    return {
        "query": [query for query, _ in groups],
        "documents": [[text for text, _ in documents] for _, documents in groups],
        "label": [[label for _, label in documents] for _, documents in groups],
    }, 1


def _loss(model: Any, loss: Loss) -> Any:
    if loss == "point_ce":
        return losses.BinaryCrossEntropyLoss(model)
    if loss == "point_mse":
        return losses.MSELoss(model, activation_fn=Sigmoid())
    if loss == "margin_mse":
        return losses.MarginMSELoss(model, activation_fn=Sigmoid())  # labels lie between 0 and 1, and so must margins
    if loss == "rank_net":
        return losses.RankNetLoss(model)
    return losses.LambdaLoss(model) if loss == "lambda" else losses.ListNetLoss(model)
