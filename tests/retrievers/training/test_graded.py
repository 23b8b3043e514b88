"""The graded list loss: the closed form against the masked loop, and what it becomes in its limits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tandem.retrievers.training.graded import GradedWeights, graded_loss

INFINITY = float("inf")
NAN = float("nan")


def batch(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and a teacher's of five rows of four keys, of which one is masked here and there, and nine other keys, some masked."""
    torch.manual_seed(seed)
    scores, taught, others = 3 * torch.randn(5, 4), 2 * torch.randn(5, 4), 3 * torch.randn(5, 9)
    taught[1, 3] = taught[2, 0] = taught[4, 2] = taught[4, 3] = NAN
    others[0, 2] = others[3, 4] = -INFINITY
    others[2] = -INFINITY
    return scores, taught, others


def masked_loop(scores: Tensor, taught: Tensor, others: Tensor, weights: GradedWeights) -> Tensor:
    """One cross-entropy a rank over whole lists of keys, as the papers tell it."""
    total = torch.zeros(())
    for row in range(len(scores)):
        keys = sorted((i for i in range(scores.shape[1]) if not taught[row, i].isnan()), key=lambda i: -float(taught[row, i]))
        logits = torch.stack([taught[row, i] for i in keys])
        shares = logits.softmax(-1) if weights == "teacher" else torch.full((len(keys),), 1 / len(keys))
        beside = [score for score in others[row] if score > -INFINITY]
        for rank, share in enumerate(shares):
            list_scores = torch.stack([*(scores[row, i] for i in keys[rank:]), *beside])
            total = total + share * cross_entropy(list_scores[None], torch.tensor([0]))
    return total / len(scores)


@pytest.mark.parity
@pytest.mark.parametrize("weights", ["teacher", "uniform"])
def test_closed_form_is_the_masked_loop(weights: GradedWeights) -> None:
    scores, taught, others = batch()
    first, second = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    beside, other_beside = others.clone().requires_grad_(), others.clone().requires_grad_()
    loss, expected = graded_loss(first, taught, beside, weights=weights), masked_loop(second, taught, other_beside, weights)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    assert first.grad is not None
    assert second.grad is not None
    assert beside.grad is not None
    assert other_beside.grad is not None
    torch.testing.assert_close(first.grad, second.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(beside.grad, other_beside.grad, atol=1e-5, rtol=1e-4)
    assert first.grad[taught.isnan()].abs().max() == 0
    assert beside.grad[others == -INFINITY].abs().max() == 0


@pytest.mark.parity
def test_weights_of_one_key_are_the_contrastive_loss() -> None:
    """A teacher that is sure of the second key: InfoNCE with that key as the positive."""
    scores, _, others = batch()
    taught = torch.tensor([[0.0, 1000.0, 1.0, 2.0]]).expand(5, 4)
    expected = cross_entropy(torch.cat([scores, others], 1), torch.ones(5, dtype=torch.long))
    torch.testing.assert_close(graded_loss(scores, taught, others, weights="teacher"), expected)


def test_a_negative_above_the_positive_comes_first() -> None:
    """By hand, two keys, no others: the teacher's weights are 1/4 and 3/4, scores 0 and 1.

    The second key comes first: its list is both, log(1 + e) - 1; the list of the first is itself. Were the positive pinned to the first
    place, the loss would be 1/4 log(1 + e).
    """
    loss = graded_loss(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, math.log(3)]]), torch.zeros(1, 0), weights="teacher")
    assert loss.item() == pytest.approx(0.75 * (math.log1p(math.e) - 1))


def test_the_teachers_temperature_counts() -> None:
    """A hot teacher weighs all ranks alike, a cold one the first alone; the caller divides by the temperature."""
    scores, taught, others = batch()
    hot, cold = (graded_loss(scores, taught / t, others, weights="teacher") for t in (1e4, 1e-4))
    torch.testing.assert_close(hot, graded_loss(scores, taught, others, weights="uniform"), atol=1e-2, rtol=0)
    assert abs(hot - cold) > 0.1


@pytest.mark.parity
def test_uniform_weights_without_others_are_plackett_luce() -> None:
    """The probability of drawing the keys in the teacher's order, one by one: -log of it over their number."""
    scores, order = torch.tensor([[0.5, 2.0, -1.0]]), torch.tensor([[2.0, 1.0, 3.0]])  # the third, the first, the second
    e = [math.exp(value) for value in (-1.0, 0.5, 2.0)]
    likelihood = e[0] / sum(e) * e[1] / (e[1] + e[2])
    loss = graded_loss(scores, order, torch.zeros(1, 0), weights="uniform")
    assert loss.item() == pytest.approx(-math.log(likelihood) / 3)


def test_the_uniform_weights_read_the_order_alone() -> None:
    """What the originals call distillation: scores of the same order say the same; with the teacher's weights they do not."""
    scores, taught, others = batch()
    stretched = 3 * taught + 1
    same = [graded_loss(scores, values, others, weights="uniform") for values in (taught, stretched)]
    different = [graded_loss(scores, values, others, weights="teacher") for values in (taught, stretched)]
    assert same[0] == same[1]
    assert abs(different[0] - different[1]) > 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("weights", ["teacher", "uniform"])
def test_gradients_are_finite(dtype: torch.dtype, weights: GradedWeights) -> None:
    """Scores as large as a cosine over a temperature of .01 makes them, masked keys in and beside the row."""
    scores, taught, others = batch()
    scores, others = (30 * scores).to(dtype).requires_grad_(), (30 * others).to(dtype).requires_grad_()
    loss = graded_loss(scores, taught, others, weights=weights)
    assert loss.dtype == torch.float32
    loss.backward()
    assert scores.grad is not None
    assert others.grad is not None
    assert scores.grad.isfinite().all()
    assert others.grad.isfinite().all()
    assert scores.grad.abs().max() > 0
