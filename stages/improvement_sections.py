"""Values of the stage that improves the generator: the algorithm, what it maximises, and each algorithm's own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tandem.params import Section

__all__ = ["DPOParams", "GroupParams", "ImprovementParams", "PPOParams", "RewardWeights"]


class RewardWeights(Section):
    """What is maximised is their weighted sum; 0 leaves one out."""

    reward_model: float = Field(ge=0)
    """the paper's; it counts only where it passed its gate"""
    round_trip: float = Field(ge=0)
    """how high BM25 ranks a query's own document, 0 to 1"""


class PPOParams(Section):
    """PPO; its arguments are those of tandem.generators.ppo.PPO."""

    steps: int
    batch_size: int
    minibatch_size: int
    epochs: int
    learning_rate: float = Field(ge=1e-8)
    kl_coefficient: float
    target_kl: float | None
    """steer the KL coefficient towards this KL a response; null keeps it fixed"""
    temperature: float
    maximum_new_tokens: int
    missing_end_penalty: float
    score_clip: float
    clip: float
    value_clip: float
    value_coefficient: float
    gamma: float
    lam: float
    maximum_gradient_norm: float


class GroupParams(Section):
    """RLOO and GRPO: several responses to a prompt, each measured by the others."""

    steps: int
    prompts_per_step: int = Field(ge=1)
    responses: int = Field(ge=2)
    updates: int = Field(ge=1)
    """optimiser steps on each round of responses"""
    learning_rate: float = Field(ge=1e-8)
    kl_coefficient: float = Field(ge=0)
    """RLOO takes the KL off the reward, GRPO adds it to the loss; 0 leaves it out"""
    clip: float
    temperature: float = Field(gt=0)
    maximum_new_tokens: int
    missing_end_penalty: float
    maximum_gradient_norm: float


class DPOParams(Section):
    """DPO on the preference pairs."""

    epochs: float
    batch_size: int
    learning_rate: float = Field(ge=1e-8)
    beta: float = Field(gt=0)
    """higher stays nearer to the generator that it starts from"""
    loss: Literal["sigmoid", "hinge", "ipo"]
    label_smoothing: float = Field(ge=0, lt=0.5)
    fine_tuning_weight: float = Field(ge=0)
    """of the chosen query's own likelihood beside the loss"""


class ImprovementParams(Section):
    """An improvement."""

    algorithm: Literal["ppo", "rloo", "grpo", "dpo"]
    rewards: RewardWeights
    order: Literal["easy_first", "hard_first", "random"]
    lora_rank: int
    lora_alpha: int
    ppo: PPOParams
    group: GroupParams
    dpo: DPOParams
    seed: int

    def needs_round_trip(self) -> bool:
        """Whether BM25 has to be indexed for a reward."""
        return self.rewards.round_trip > 0 and self.algorithm != "dpo"
