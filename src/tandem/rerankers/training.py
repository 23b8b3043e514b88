"""Train a reranker on the Hugging Face trainer: pointwise, pairwise or listwise; best checkpoint, early stop, resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from sentence_transformers import CrossEncoderTrainer, CrossEncoderTrainingArguments
from transformers import EarlyStoppingCallback

from tandem.rerankers.losses import Loss, build_columns, make_loss
from tandem.rerankers.ranking_data import Labelled, sample_groups
from tandem.rerankers.reranker import Reranker
from tandem.runtime.distributed import world_size
from tandem.runtime.lora import Lora
from tandem.runtime.training import DevEvaluator, Trained, train_and_select, trainer_settings

__all__ = ["train_reranker"]


def train_reranker(
    reranker: Reranker,
    rows: Sequence[Labelled],
    *,
    loss: Loss,
    steps: int,
    batch_size: int,
    documents_per_query: int,
    learning_rate: float,
    warmup_ratio: float,
    evaluations: int,
    patience: int | None = None,
    lora: Lora | None = None,
    dev_score: Callable[[Reranker], Sequence[float]],
    scratch: Path,
    bf16: bool,
    seed: int,
) -> Trained:
    """Train in place for a fixed number of steps and leave the reranker at the step that :func:`tandem.runtime.training.choose_step` names.

    With no row there is nothing to learn from, and the reranker stays as it is.

    Args:
        reranker: to train.
        rows: labelled.
        loss: ``point_ce`` (binary cross-entropy, soft labels allowed), ``point_mse`` (of the sigmoid), ``margin_mse``, ``rank_net``
            (Burges et al. 2005), ``lambda`` (LambdaLoss, Wang et al. 2018), ``list_ce`` (ListNet, Cao et al. 2007).
        steps: optimiser steps.
        batch_size: queries a step and device.
        documents_per_query: of a query in a step, one of the highest label among them.
        learning_rate: peak; linear decay after the warm-up.
        warmup_ratio: of the steps.
        evaluations: how often, evenly spaced, the dev score is taken.
        patience: stop after so many evaluations without a better score; None never stops.
        lora: train an adapter only, and merge it in the end; None trains everything.
        dev_score: a value for each dev query, higher is better; called with the reranker.
        scratch: checkpoints live here; a run that finds one goes on from it.
        bf16: train under bfloat16 autocast.
        seed: of samples and dropout.
    """
    if not rows:
        return Trained([], [], 0)
    groups = sample_groups(rows, groups=steps * batch_size * world_size(), documents=documents_per_query, seed=seed)
    columns, width = build_columns(groups, loss)
    model = reranker.model
    if lora is not None:
        reranker.scorer.add_adapter(lora)
    arguments = CrossEncoderTrainingArguments(
        **trainer_settings(steps=steps, batch_size=batch_size * width, evaluations=evaluations, scratch=scratch),
        learning_rate=learning_rate,
        warmup_steps=round(steps * warmup_ratio),
        use_cpu=str(model.device) == "cpu",
        bf16=bf16,
        seed=seed,
    )

    def score(_: Any) -> Sequence[float]:
        return dev_score(reranker)

    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        loss=make_loss(model, loss),
        evaluator=DevEvaluator(score),
        callbacks=[] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)],
    )
    trained = train_and_select(trainer, model, score, scratch)
    reranker.scorer.merge_adapter()
    return trained
