"""PPO's own values in params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tandem.params import Section

__all__ = ["PPOParams", "RewardWeights"]


class RewardWeights(Section):
    """What PPO maximises is their weighted sum; 0 leaves one out."""

    reward_model: float = Field(ge=0)
    """the paper's; it counts only where it passed its gate"""
    round_trip: float = Field(ge=0)
    """how high BM25 ranks a query's own document, 0 to 1"""


class PPOParams(Section):
    """PPO; its arguments are those of tandem.generators.ppo.PPO."""

    steps: int
    order: Literal["easy_first", "hard_first", "random"]
    batch_size: int
    minibatch_size: int
    epochs: int
    learning_rate: float = Field(ge=1e-8)
    lora_rank: int
    lora_alpha: int
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
