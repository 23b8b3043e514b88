"""Direct preference optimisation of the generator (Rafailov et al. 2023) on the pairs that the retriever has told apart (TRL).

Loss: ``-log sigmoid(b (log pi(q+|d) - log ref(q+|d)) - b (log pi(q-|d) - log ref(q-|d)))`` (equation 7); the reference is the policy with
its adapter off. ``hinge`` is SLiC's (Zhao et al. 2023), ``ipo`` Azar et al. (2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tandem.generators.trainers import EpochSettings, epoch_arguments, train_adapter
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora, adapter_config
from tandem.settings import Coefficient, PositiveCoefficient

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["DPOSettings", "optimise_preferences"]

NAMES = {"loss": "loss", "rewards/margins": "reward", "rewards/accuracies": "accuracy", "grad_norm": "gradient_norm"}
HELD_OUT = {"eval_rewards/accuracies": "held_out_accuracy", "eval_rewards/margins": "held_out_reward"}


class DPOSettings(EpochSettings):
    """DPO on the preference pairs."""

    epochs: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
    """passes over the pairs; 0 leaves the generator as it is"""
    beta: PositiveCoefficient
    """b of the loss; higher stays nearer to the generator that it starts from"""
    loss: Literal["sigmoid", "hinge", "ipo"]
    """sigmoid is DPO"""
    label_smoothing: float = Field(ge=0, lt=0.5, allow_inf_nan=False)
    """share of pairs that are taken to be the wrong way round (sigmoid alone)"""
    fine_tuning_weight: Coefficient
    """of the chosen query's negative log-likelihood beside the loss; 0 leaves it out"""


def optimise_preferences(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, str]],
    held_out_rows: Sequence[dict[str, str]],
    settings: DPOSettings,
    *,
    lora: Lora,
    compute: Compute,
) -> tuple[PeftModel, list[dict[str, float]]]:
    """Train an adapter on preference pairs.

    Args:
        model: the merged policy of the round before.
        tokenizer: its tokenizer.
        rows: to train on, from :func:`tandem.generators.trainers.preference_rows`.
        held_out_rows: pairs of other documents, measured after each epoch; may be empty.
        settings: of the run.
        lora: the adapter.
        compute: where and how.

    Returns:
        The policy with its adapter, and a row of metrics for each logged step: ``reward`` is the implicit reward by which the chosen query
        leads the rejected one, ``accuracy`` how often it leads; ``held_out_`` the same of held-out pairs.
    """
    from trl import DPOConfig, DPOTrainer

    weight = settings.fine_tuning_weight
    arguments = DPOConfig(
        **epoch_arguments(settings, rows, held_out_rows, compute=compute),
        beta=settings.beta,
        loss_type=[settings.loss, "sft"] if weight else [settings.loss],
        loss_weights=[1.0, weight] if weight else None,
        label_smoothing=settings.label_smoothing,
    )
    trainer = train_adapter(DPOTrainer, arguments, model, tokenizer, rows, dev_rows=held_out_rows, adapter=adapter_config(lora))
    return trainer.model, _history(trainer.state.log_history)


def _history(logged: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """A row of metrics for each step that has a loss, under our names."""
    by_step: dict[float, dict[str, float]] = {}
    for entry in logged:
        row = by_step.setdefault(entry["step"], {"step": float(entry["step"])})
        row |= {name: entry[key] for key, name in {**NAMES, **HELD_OUT}.items() if key in entry}
    return [row for row in by_step.values() if "loss" in row]
