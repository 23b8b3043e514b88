"""PPO's arithmetic against numbers derived by hand; the derivations stand in the docstrings."""

from __future__ import annotations

import math

import pytest
import torch

from tandem.generators import ppo_math


def test_shaped_rewards() -> None:
    """beta = .5; log-ratios (.2, -.4) in a response of two tokens, (.6) in one of one token, its padding ignored.

    r = (-.5 * .2, -.5 * -.4 + 3) = (-.1, 3.2) and (-.5 * .6 - 1, 0) = (-1.3, 0).
    """
    log_probs = torch.tensor([[-1.0, -1.4], [-0.4, -9.0]])
    reference = torch.tensor([[-1.2, -1.0], [-1.0, -2.0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    rewards = ppo_math.shaped_rewards(torch.tensor([3.0, -1.0]), log_probs, reference, mask, kl_coefficient=0.5)
    torch.testing.assert_close(rewards, torch.tensor([[-0.1, 3.2], [-1.3, 0.0]]))


def test_generalised_advantages() -> None:
    """gamma = .9, lambda = .5, rewards (1, 2), values (.5, 1): delta_1 = 2 - 1 = 1, delta_0 = 1 + .9 * 1 - .5 = 1.4.

    A_1 = 1; A_0 = 1.4 + .9 * .5 * 1 = 1.85. Returns A + V: (2.35, 2). In the second row only the first token counts: A_0 = 1 - .5 = .5.
    """
    rewards = torch.tensor([[1.0, 2.0], [1.0, 7.0]])
    values = torch.tensor([[0.5, 1.0], [0.5, 4.0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    advantages, returns = ppo_math.generalised_advantages(rewards, values, mask, gamma=0.9, lam=0.5)
    torch.testing.assert_close(advantages, torch.tensor([[1.85, 1.0], [0.5, 0.0]]))
    torch.testing.assert_close(returns, torch.tensor([[2.35, 2.0], [1.0, 0.0]]))


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped"),
    [
        (1.0, 2.0, -2.0, 0.0),  # nothing has moved
        (1.5, 2.0, -2.4, 1.0),  # a good action's ratio counts up to 1.2
        (0.5, 2.0, -1.0, 0.0),  # a good action that became unlikely pulls back in full
        (0.5, -2.0, 1.6, 1.0),  # a bad action's ratio counts down to .8
        (1.5, -2.0, 3.0, 0.0),  # a bad action that became likely pushes back in full
    ],
)
def test_policy_loss(ratio: float, advantage: float, loss: float, clipped: float) -> None:
    """max(-A rho, -A clip(rho, .8, 1.2)), one token."""
    new = torch.tensor([[math.log(ratio)]])
    value, share = ppo_math.policy_loss(new, torch.zeros(1, 1), torch.tensor([[advantage]]), torch.ones(1, 1), clip=0.2)
    assert value.item() == pytest.approx(loss)
    assert share.item() == clipped


def test_value_loss() -> None:
    """Old value 0, return 1, eps .2: a value of .5 counts as .2, whose error .8 is the larger: .5 * .64 = .32."""
    loss = ppo_math.value_loss(torch.tensor([[0.5]]), torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1), clip=0.2)
    assert loss.item() == pytest.approx(0.32)


def test_whiten_ignores_padding() -> None:
    """Values 1 and 3 under the mask: mean 2, variance 1, so -1 and 1."""
    whitened = ppo_math.whiten(torch.tensor([[1.0, 3.0, 99.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
    torch.testing.assert_close(whitened, torch.tensor([[-1.0, 1.0, 0.0]]))


def test_explained_variance() -> None:
    mask = torch.ones(1, 2)
    returns = torch.tensor([[1.0, 3.0]])
    assert ppo_math.explained_variance(returns, returns, mask) == pytest.approx(1.0)
    assert ppo_math.explained_variance(torch.tensor([[2.0, 2.0]]), returns, mask) == pytest.approx(0.0)


def test_kl_controller() -> None:
    """KL 12 at target 6: error clipped to .2; beta .1 * (1 + .2 * 50 / 100) = .11. Fixed without a target."""
    adaptive = ppo_math.KLController(0.1, target=6.0, horizon=100)
    adaptive.update(12.0, 50)
    assert adaptive.coefficient == pytest.approx(0.11)
    fixed = ppo_math.KLController(0.1)
    fixed.update(1000.0, 50)
    assert fixed.coefficient == 0.1


def test_running_moments_equal_those_of_all_scores() -> None:
    parts = [torch.randn(7) * 3 + 1, torch.randn(4), torch.randn(9) - 5]
    moments = ppo_math.RunningMoments()
    for part in parts:
        moments.update(part)
    everything = torch.cat(parts)
    assert moments.mean == pytest.approx(float(everything.mean()), abs=1e-5)
    assert moments.variance == pytest.approx(float(everything.var(unbiased=False)), rel=1e-5)
