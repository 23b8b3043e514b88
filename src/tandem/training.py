"""What the training of retrievers and of rerankers shares: evenly spaced dev scores, the best checkpoint, going on after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers.base.evaluation import BaseEvaluator

from tandem.formats.checkpoints import latest_checkpoint

__all__ = ["DevEvaluator", "Trained", "train_and_select", "trainer_settings"]

METRIC = "dev_ndcg_at_10"


@dataclass(frozen=True, slots=True)
class Trained:
    """What training did: (step, loss) and (step, dev score) points, and the step whose weights the model now has."""

    loss: list[tuple[int, float]]
    dev: list[tuple[int, float]]
    best_step: int


class DevEvaluator(BaseEvaluator):
    """Lets the trainer choose its checkpoint by any function of the model; the signature is sentence-transformers'."""

    def __init__(self, score: Callable[[Any], float]) -> None:
        super().__init__()
        self.score = score
        self.primary_metric = METRIC

    def __call__(self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1) -> dict[str, float]:  # noqa: ARG002
        """The dev score under the name that the trainer chooses by."""
        return {METRIC: self.score(model)}


def trainer_settings(*, steps: int, batch_size: int, evaluations: int, scratch: Path) -> dict[str, Any]:
    """How a trainer steps, evaluates, saves and keeps the best checkpoint.

    Args:
        steps: optimiser steps.
        batch_size: rows a step and device.
        evaluations: how often, evenly spaced, the dev score is taken.
        scratch: checkpoints live here.
    """
    every = max(steps // evaluations, 1)
    return {
        "output_dir": str(scratch / "checkpoints"),
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


def train_and_select(trainer: Any, model: Any, dev_score: Callable[[Any], float], scratch: Path) -> Trained:
    """Run a trainer, from a checkpoint in ``scratch`` if there is one, and leave the model at its best dev score, step 0 included."""
    start = {name: value.detach().clone() for name, value in model.state_dict().items()}
    first_score = dev_score(model)
    trainer.train(resume_from_checkpoint=latest_checkpoint(scratch / "checkpoints"))
    history = trainer.state.log_history
    dev = [(0, first_score), *((row["step"], row[f"eval_{METRIC}"]) for row in history if f"eval_{METRIC}" in row)]
    best = max(dev, key=lambda point: (point[1], -point[0]))[0]
    if best == 0:
        model.load_state_dict(start)
    return Trained([(row["step"], row["loss"]) for row in history if "loss" in row], dev, best)
