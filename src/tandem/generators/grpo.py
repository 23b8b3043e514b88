"""Policy optimisation by comparing responses to the same prompt, without a critic: RLOO and GRPO (TRL).

A response's advantage is its reward less the mean of the other responses to its prompt, ``R_i - sum_(j != i) R_j / (k - 1)`` (RLOO,
Ahmadian et al. 2024), or standardised within its prompt's responses (GRPO, Shao et al. 2024, section 4.1). RLOO takes the KL to the
reference off the reward, GRPO adds it to the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tandem.generators.rewards import WeightedRewards
from tandem.generators.rollouts import Curriculum
from tandem.generators.trainers import common_arguments, train_adapter
from tandem.llm.decoding import end_tokens
from tandem.llm.parsing import clean_query
from tandem.runtime.distributed import world_size
from tandem.runtime.hardware import Compute
from tandem.runtime.lora import Lora, adapter_config
from tandem.settings import (
    BatchSize,
    Coefficient,
    LearningRate,
    PositiveCoefficient,
    PositiveShare,
    PositiveTemperature,
    Settings,
    Steps,
    StepsOrZero,
    Tokens,
)

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["GroupSettings", "optimise_in_groups"]

NAMES = {
    "query_reward": "reward",
    "difficulty": "difficulty",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "length",
    "frac_reward_zero_std": "undecided",
    "loss": "loss",
    "grad_norm": "gradient_norm",
}


class GroupSettings(Settings):
    """RLOO and GRPO: several responses to a prompt, each measured by the others."""

    steps: StepsOrZero
    """rounds of responses; 0 leaves the generator as it is"""
    prompts_per_step: BatchSize
    """a step and process"""
    responses: int = Field(ge=2, le=1024)
    """to each prompt, compared with each other"""
    updates: Steps
    """optimiser steps on each round of responses"""
    learning_rate: LearningRate
    """constant"""
    kl_coefficient: Coefficient
    """RLOO takes the KL to the reference off the reward, GRPO adds it to the loss; 0 leaves it out"""
    clip: PositiveShare
    """of the probability ratio"""
    temperature: PositiveTemperature
    """of sampling and of the log-probabilities"""
    max_new_tokens: Tokens
    """of a response"""
    missing_end_penalty: Coefficient
    """taken off the reward of a response that does not end"""
    max_grad_norm: PositiveCoefficient
    """gradients are cut to it"""


def optimise_in_groups(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    curriculum: Curriculum,
    rewards: WeightedRewards,
    settings: GroupSettings,
    *,
    algorithm: Literal["rloo", "grpo"],
    lora: Lora,
    compute: Compute,
) -> tuple[PeftModel, list[dict[str, float]]]:
    """Train an adapter on rewards of what the policy writes.

    Args:
        model: the merged policy of the round before; with the adapter off it is the reference.
        tokenizer: its tokenizer, padding on the left.
        curriculum: prompts with their documents, in order.
        rewards: of the queries that are written.
        settings: of the run.
        algorithm: how a response is measured by the others.
        lora: the adapter.
        compute: where and how.

    Returns:
        The policy with its adapter, and a row of metrics a step; ``undecided`` is the share of prompts whose responses all earn the same.
    """
    from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

    trainer_class, config = (GRPOTrainer, GRPOConfig) if algorithm == "grpo" else (RLOOTrainer, RLOOConfig)
    scored = _penalised(rewards, set(end_tokens(model).tolist()), settings.missing_end_penalty)
    batches = islice(curriculum.batches(settings.prompts_per_step * world_size()), settings.steps)
    rows = [{"prompt": p.text, "doc_id": p.doc_id, "difficulty": p.difficulty} for p in chain.from_iterable(batches)]
    trainer = train_adapter(
        partial(trainer_class, reward_funcs=scored),
        config(**_arguments(settings, compute)),
        model,
        tokenizer,
        rows,
        adapter=adapter_config(lora),
    )
    names = NAMES | {f"{name}_reward": f"{name}_reward" for name in rewards.rewards}
    return trainer.model, _history(trainer.state.log_history, names, settings.updates)


def _arguments(settings: GroupSettings, compute: Compute) -> dict[str, Any]:
    """Of either of TRL's two configurations."""
    batch_size = settings.prompts_per_step * settings.responses
    return {
        **common_arguments(batch_size=batch_size, learning_rate=settings.learning_rate, compute=compute),
        "max_steps": settings.steps * settings.updates,
        "num_generations": settings.responses,
        "num_iterations": settings.updates,
        "steps_per_generation": 1,
        "shuffle_dataset": False,  # the rows are in the curriculum's order
        "lr_scheduler_type": "constant",
        "beta": settings.kl_coefficient,
        "epsilon": settings.clip,
        "temperature": settings.temperature,
        "max_completion_length": settings.max_new_tokens,
        "max_grad_norm": settings.max_grad_norm,
        "disable_dropout": True,
        "logging_steps": settings.updates,
        "save_strategy": "steps",
        "save_steps": settings.updates * max(settings.steps // 20, 1),
    }


def _history(logged: Sequence[Mapping[str, float]], names: Mapping[str, str], updates: int) -> list[dict[str, float]]:
    """A row of metrics for each round of responses, under our names."""
    return [
        {
            "step": row["step"] // updates,
            **{name: float(row[key]) for key, name in names.items() if key in row},
            "ended": 1 - row["completions/clipped_ratio"],
        }
        for row in logged
        if "query_reward" in row
    ]


def _penalised(rewards: WeightedRewards, ends: set[int], penalty: float) -> Callable[..., list[float]]:
    """The rewards as TRL calls them, with a penalty for responses that do not end; the sum itself is logged without it."""

    def scored(
        completions: list[str],
        completion_ids: list[list[int]],
        doc_id: list[str],
        difficulty: list[float],
        log_metric: Callable[[str, float], None],
        **_: object,
    ) -> list[float]:
        earned = rewards.score([clean_query(text) for text in completions], doc_id)
        log_metric("query_reward", sum(earned.totals) / len(earned.totals))
        log_metric("difficulty", sum(difficulty) / len(difficulty))
        for name, mean in earned.means.items():
            log_metric(f"{name}_reward", mean)
        return [total - penalty * (ids[-1] not in ends) for total, ids in zip(earned.totals, completion_ids, strict=True)]

    return scored
