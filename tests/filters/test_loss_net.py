"""LossNet: its loss and its measures by hand, what it can learn, that no row is predicted by a network that saw it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from loss_rows import FITTING, data
from scipy.stats import spearmanr

from tandem.filters.loss_net import Features, LossNet, LossNetSettings, cross_fit, pair_accuracy, pair_margin_loss, spearman


def fitting(**changes: Any) -> LossNetSettings:
    return LossNetSettings(**{**FITTING, **changes})


def test_margin_loss_by_hand() -> None:
    """Pairs (0, 1), (0, 2), (1, 2); losses 0, 1, 1: the last does not count. 0 before 1: signs -1, so 1 + (p_i - p_j).

    (0, 1): max(0, 1 + .5 - 2) = 0; (0, 2): max(0, 1 + .5 - .2) = 1.3; mean .65.
    """
    assert pair_margin_loss(torch.tensor([0.5, 2.0, 0.2]), torch.tensor([0.0, 1.0, 1.0])).item() == pytest.approx(0.65)
    assert pair_margin_loss(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 3.0])).item() == 0


def test_measures_agree_with_scipy_and_with_counting() -> None:
    torch.manual_seed(0)
    first, second = torch.randint(0, 6, (40,)).float(), torch.randn(40)
    assert spearman(first, second) == pytest.approx(spearmanr(first.numpy(), second.numpy()).statistic, abs=1e-9)
    assert spearman(torch.ones(4), second[:4]) == 0
    assert pair_accuracy(torch.tensor([1.0, 2.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])) == pytest.approx(2.5 / 3)


@pytest.mark.parametrize("objective", ["margin", "mse"])
def test_it_learns_what_its_features_tell(objective: str) -> None:
    queries, documents, losses = data(240)
    predictions, quality = cross_fit(queries, documents, losses, fitting(objective=objective), seed=1)
    assert quality.spearman > 0.7
    assert quality.pair_accuracy > 0.75
    assert quality.spearman == pytest.approx(spearman(torch.tensor(predictions), torch.tensor(losses)), abs=0.05)
    again, _ = cross_fit(queries, documents, losses, fitting(objective=objective), seed=1)
    assert again == predictions


def test_predictions_are_out_of_fold_and_reach_rows_without_a_loss() -> None:
    """Losses that nothing in the features tells cannot be predicted, however long the network is trained on the other half."""
    queries, documents, losses = data(300)
    noise = torch.randn(300, generator=torch.Generator().manual_seed(3)).tolist()
    _, quality = cross_fit(queries, documents, noise, fitting(epochs=60), seed=1)
    assert abs(quality.spearman) < 0.3
    known = [loss if i < 240 else None for i, loss in enumerate(losses)]
    predictions, _ = cross_fit(queries, documents, known, fitting(), seed=1)
    assert spearman(torch.tensor(predictions[240:]), torch.tensor(losses[240:])) > 0.4
    with pytest.raises(ValueError, match="3 known losses found, 4 are the least"):
        cross_fit(queries[:3], documents[:3], losses[:3], fitting(), seed=1)


def test_padding_changes_no_prediction() -> None:
    queries, documents, _ = data(6)
    net = LossNet(16).eval()
    with torch.no_grad():
        together = net(Features.of(queries, documents))
        alone = torch.cat([net(Features.of([q], [d])) for q, d in zip(queries, documents, strict=True)])
    assert torch.allclose(together, alone, atol=1e-5)
