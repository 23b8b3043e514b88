"""What the training of retrievers and of rerankers shares: evenly spaced dev scores, the choice of a checkpoint, going on after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from accelerate.utils import extract_model_from_parallel
from datasets import Dataset
from sentence_transformers.base.evaluation import BaseEvaluator
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from tandem.runtime.checkpoints import choose_step, latest_checkpoint, summarise
from tandem.runtime.hardware import Compute
from tandem.settings import BatchSize, LearningRate, Settings, Steps

__all__ = ["DevEvaluator", "StepSettings", "Trained", "fit", "trainer_arguments"]

METRIC, ERROR = "dev_ndcg_at_10", "dev_standard_error"
M = TypeVar("M", bound=nn.Module)


class StepSettings(Settings):
    """Training for a fixed number of optimiser steps; the learning rate falls linearly to zero after the warm-up."""

    steps: Steps
    """optimiser steps"""
    batch_size: BatchSize
    """rows a step and device"""
    learning_rate: LearningRate
    """the peak, after the warm-up"""


@dataclass(frozen=True, slots=True)
class Trained:
    """What training did: (step, loss) and (step, dev score) points, and the step whose weights the model has."""

    loss: list[tuple[int, float]]
    dev: list[tuple[int, float]]
    best_step: int


class DevEvaluator(BaseEvaluator, Generic[M]):
    """Takes the dev score of a model while it is trained; the signature is sentence-transformers'."""

    def __init__(self, score: Callable[[M], Sequence[float]]) -> None:
        super().__init__()
        self.score = score
        self.primary_metric = METRIC

    def __call__(self, model: M, output_path: str | None = None, epoch: int = -1, steps: int = -1) -> dict[str, float]:  # noqa: ARG002
        """The mean over dev queries and its standard error, as search computes them: without the trainer's autocast."""
        with _without_autocast(model):
            mean, error = summarise(self.score(model))
        return {METRIC: mean, ERROR: error}


@contextmanager
def _without_autocast(model: nn.Module) -> Iterator[None]:
    """The model's ``forward`` as its class has it; accelerate puts one with an autocast before it."""
    wrapped = model.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if wrapped is not None:
            model.forward = wrapped


def trainer_arguments(
    settings: StepSettings, compute: Compute, *, warmup_ratio: float, evaluations: int, rows_per_query: int = 1
) -> dict[str, Any]:
    """How a Hugging Face trainer steps, evaluates, saves, and keeps its best checkpoint and its last.

    Args:
        settings: of the steps.
        compute: device, precision, the seed of order and dropout, and the folder of checkpoints.
        warmup_ratio: share of the steps in which the learning rate rises.
        evaluations: how often, evenly spaced, the dev score is taken.
        rows_per_query: rows of the training set for each of ``batch_size``.
    """
    every = max(settings.steps // evaluations, 1)
    return {
        "output_dir": str(compute.scratch / "checkpoints"),
        "max_steps": settings.steps,
        "per_device_train_batch_size": settings.batch_size * rows_per_query,
        "learning_rate": settings.learning_rate,
        "warmup_steps": round(settings.steps * warmup_ratio),
        "weight_decay": 0.01,
        "logging_steps": max(settings.steps // 20, 1),
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
        "use_cpu": compute.device == "cpu",
        "bf16": compute.bf16,
        "seed": compute.seed,
    }


def fit(
    trainer_class: type[Trainer],
    model: M,
    columns: Mapping[str, Sequence[Any]],
    *,
    loss: nn.Module,
    arguments: TrainingArguments,
    dev_score: Callable[[M], Sequence[float]],
    callbacks: Sequence[TrainerCallback] = (),
) -> Trained:
    """Train a model in place, from its last checkpoint if there is one, and leave it at the step that :func:`choose_step` names.

    Args:
        trainer_class: of sentence-transformers.
        model: to train.
        columns: of the training set, by name.
        loss: over the model.
        arguments: of the trainer, with those of :func:`trainer_arguments`.
        dev_score: a value for each dev query, higher is better; called with the model.
        callbacks: of the trainer.
    """
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(dict(columns)),
        loss=loss,
        evaluator=DevEvaluator(dev_score),
        callbacks=list(callbacks),
    )
    start = {name: value.detach().clone() for name, value in model.state_dict().items()}
    first = (0, *summarise(dev_score(model)))
    checkpoints = Path(arguments.output_dir)
    trainer.train(resume_from_checkpoint=latest_checkpoint(checkpoints))
    extract_model_from_parallel(model, keep_fp32_wrapper=False)  # takes the autocast off, under which vectors of the corpus would be made
    history = trainer.state.log_history
    points = [first, *((row["step"], row[f"eval_{METRIC}"], row[f"eval_{ERROR}"]) for row in history if f"eval_{METRIC}" in row)]
    step = choose_step(points)
    if step == 0:
        model.load_state_dict(start)
    else:  # the trainer has loaded its best one, and keeps that and the last
        trainer._load_from_checkpoint(str(checkpoints / f"checkpoint-{step}"))
    return Trained([(row["step"], row["loss"]) for row in history if "loss" in row], [point[:2] for point in points], step)
