"""Values of the stage that improves the generator: the algorithm, what it maximises, and each algorithm's own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tandem.settings import (
    BatchSize,
    Coefficient,
    LearningRate,
    PositiveCoefficient,
    PositiveShare,
    PositiveTemperature,
    Rank,
    Seed,
    Settings,
    Share,
    Steps,
    StepsOrZero,
    Tokens,
)

__all__ = ["DPOParams", "GroupParams", "ImprovementParams", "PPOParams", "RewardWeights"]


class RewardWeights(Settings):
    """What is maximised is their weighted sum; 0 leaves one out."""

    reward_model: Coefficient
    """the paper's; it counts only where it passed its gate"""
    round_trip: Coefficient
    """how high BM25 ranks a query's own document, 0 to 1"""
    cap: PositiveCoefficient
    """no reward counts beyond it, on either side, before it is weighted"""


class PPOParams(Settings):
    """PPO; its arguments are those of tandem.generators.ppo.PPO."""

    steps: StepsOrZero
    batch_size: BatchSize
    minibatch_size: BatchSize
    epochs: Steps
    learning_rate: LearningRate
    kl_coefficient: Coefficient
    target_kl: PositiveCoefficient | None
    """steer the KL coefficient towards this KL a response; null keeps it fixed"""
    temperature: PositiveTemperature
    max_new_tokens: Tokens
    missing_end_penalty: Coefficient
    score_clip: PositiveCoefficient
    clip: PositiveShare
    value_clip: PositiveCoefficient
    value_coefficient: Coefficient
    gamma: Share
    lam: Share
    max_grad_norm: PositiveCoefficient


class GroupParams(Settings):
    """RLOO and GRPO: several responses to a prompt, each measured by the others."""

    steps: StepsOrZero
    prompts_per_step: BatchSize
    responses: int = Field(ge=2, le=1024)
    updates: Steps
    """optimiser steps on each round of responses"""
    learning_rate: LearningRate
    kl_coefficient: Coefficient
    """RLOO takes the KL off the reward, GRPO adds it to the loss; 0 leaves it out"""
    clip: PositiveShare
    temperature: PositiveTemperature
    max_new_tokens: Tokens
    missing_end_penalty: Coefficient
    max_grad_norm: PositiveCoefficient


class DPOParams(Settings):
    """DPO on the preference pairs."""

    epochs: float = Field(ge=0, le=10_000, allow_inf_nan=False)
    batch_size: BatchSize
    learning_rate: LearningRate
    beta: PositiveCoefficient
    """higher stays nearer to the generator that it starts from"""
    loss: Literal["sigmoid", "hinge", "ipo"]
    label_smoothing: float = Field(ge=0, lt=0.5, allow_inf_nan=False)
    fine_tuning_weight: Coefficient
    """of the chosen query's own likelihood beside the loss"""


class ImprovementParams(Settings):
    """An improvement."""

    algorithm: Literal["ppo", "rloo", "grpo", "dpo"]
    rewards: RewardWeights
    order: Literal["easy_first", "hard_first", "random"]
    lora_rank: Rank
    lora_alpha: Rank
    ppo: PPOParams
    group: GroupParams
    dpo: DPOParams
    seed: Seed

    def needs_round_trip(self) -> bool:
        """Whether BM25 has to be indexed for a reward."""
        return self.rewards.round_trip > 0 and self.algorithm != "dpo"
