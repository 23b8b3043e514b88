"""The arithmetic of PPO (Schulman et al., 2017) on padded batches: rewards, advantages, losses, the KL coefficient.

Every tensor is ``(batch, tokens)`` over a response's tokens; ``mask`` is 1 up to and including the end token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "KLController",
    "RunningMoments",
    "explained_variance",
    "generalised_advantages",
    "masked_mean",
    "policy_loss",
    "shaped_rewards",
    "value_loss",
    "whiten",
]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of the values whose mask is 1."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def shaped_rewards(scores: Tensor, log_probs: Tensor, reference_log_probs: Tensor, mask: Tensor, *, kl_coefficient: float) -> Tensor:
    """``r_t = -beta (log pi(a_t) - log pi_ref(a_t))``, plus the score at a response's last token (iGFT equation 11).

    Args:
        scores: one a response, (batch,).
        log_probs: of the sampled tokens under the policy that sampled them.
        reference_log_probs: under the reference.
        mask: of the response.
        kl_coefficient: beta.
    """
    rewards = -kl_coefficient * (log_probs - reference_log_probs) * mask
    last = mask.sum(1).long().clamp(min=1) - 1
    rewards[torch.arange(len(rewards)), last] += scores
    return rewards


def generalised_advantages(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """GAE (Schulman et al., 2016): ``A_t = sum_l (gamma lam)^l delta_{t+l}``, ``delta_t = r_t + gamma V_{t+1} - V_t``.

    The value after a response's last token is 0.

    Returns:
        Advantages and returns (advantages plus values), both 0 outside the mask.
    """
    values = values * mask
    advantages = torch.zeros_like(rewards)
    running = torch.zeros(len(rewards), device=rewards.device)
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(running)
        delta = rewards[:, t] + gamma * following - values[:, t]
        running = (delta + gamma * lam * running) * mask[:, t]
        advantages[:, t] = running
    return advantages, advantages + values


def whiten(values: Tensor, mask: Tensor, total: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> Tensor:
    """Shift and scale to mean 0 and variance 1 over the mask; ``total`` sums over all processes that have a part of the batch."""
    tokens = total(mask.sum()).clamp(min=1)
    mean = total((values * mask).sum()) / tokens
    variance = total(((values - mean) ** 2 * mask).sum()) / tokens
    return (values - mean) * torch.rsqrt(variance + 1e-8) * mask


def policy_loss(log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, mask: Tensor, *, clip: float) -> tuple[Tensor, Tensor]:
    """The clipped surrogate ``-min(rho A, clip(rho, 1 - eps, 1 + eps) A)`` and the share of tokens where clipping counts."""
    ratio = torch.exp(log_probs - old_log_probs)
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip, 1 + clip)
    return masked_mean(torch.maximum(plain, clipped), mask), masked_mean((clipped > plain).float(), mask)


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, *, clip: float) -> Tensor:
    """``mean max((V - R)^2, (clip(V, V_old - eps, V_old + eps) - R)^2) / 2``."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * masked_mean(torch.maximum((values - returns) ** 2, (near - returns) ** 2), mask)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns): 1 for a perfect critic, 0 for one that knows the mean."""
    chosen = mask.bool()
    spread = returns[chosen].var(unbiased=False)
    return float(1 - (returns - values)[chosen].var(unbiased=False) / spread) if spread > 0 else 0.0


@dataclass
class KLController:
    """The KL coefficient: fixed, or steered towards a target (Ziegler et al., 2019).

    ``beta <- beta (1 + clip(KL / target - 1, -.2, .2) n / horizon)`` after each batch of n responses.
    """

    coefficient: float
    target: float | None = None
    horizon: int = 10_000

    def update(self, kl: float, responses: int) -> None:
        """Steer after a batch whose mean KL, summed over a response, was ``kl``."""
        if self.target is not None:
            error = min(max(kl / self.target - 1, -0.2), 0.2)
            self.coefficient *= 1 + error * responses / self.horizon


@dataclass
class RunningMoments:
    """Mean and variance of all scores so far (Chan's parallel update): what scores are standardised with."""

    count: float = 0.0
    mean: float = 0.0
    variance: float = 1.0

    def update(self, values: Tensor) -> None:
        """Take in a batch of scores."""
        size, mean = len(values), float(values.mean())
        variance = float(values.var(unbiased=False))
        total = self.count + size
        delta = mean - self.mean
        spread = self.variance * self.count + variance * size + delta**2 * self.count * size / total
        self.mean += delta * size / total
        self.variance, self.count = spread / total, total

    def standardise(self, values: Tensor) -> Tensor:
        """Scores at mean 0 and variance 1."""
        scaled: Tensor = (values - self.mean) / max(self.variance, 1e-6) ** 0.5
        return scaled
