"""LossNet: its loss and its measures by hand, what it can learn, that no row is predicted by a network that saw it; the selection."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from tandem.filters.informative import informative_queries, select_ids
from tandem.filters.loss_net import Features, LossNet, cross_fit, pair_accuracy, pair_margin_loss, spearman
from tandem.records import PseudoQuery

FITTING = {"objective": "margin", "epochs": 15, "batch_size": 16, "learning_rate": 3e-3}


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


def data(number: int, seed: int = 0) -> tuple[list[Tensor], list[Tensor], list[float]]:
    """Rows whose loss is one less the cosine of a query's only token and the nearest of the document's tokens."""
    generator = torch.Generator().manual_seed(seed)
    queries, documents, losses = [], [], []
    for i in range(number):
        document = torch.nn.functional.normalize(torch.randn(3 + i % 4, 16, generator=generator), dim=-1)
        noise = torch.randn(16, generator=generator) * (i % 10) / 10
        query = torch.nn.functional.normalize(document[0] + noise, dim=-1)[None]
        queries.append(query)
        documents.append(document)
        losses.append(float(1 - (query @ document.T).max()))
    return queries, documents, losses


@pytest.mark.parametrize("objective", ["margin", "mse"])
def test_it_learns_what_its_features_tell(objective: str) -> None:
    queries, documents, losses = data(240)
    predictions, quality = cross_fit(queries, documents, losses, **{**FITTING, "objective": objective}, seed=1)  # type: ignore[arg-type]
    assert quality.spearman > 0.7
    assert quality.pair_accuracy > 0.75
    assert quality.spearman == pytest.approx(spearman(torch.tensor(predictions), torch.tensor(losses)), abs=0.05)
    again, _ = cross_fit(queries, documents, losses, **{**FITTING, "objective": objective}, seed=1)  # type: ignore[arg-type]
    assert again == predictions


def test_predictions_are_out_of_fold_and_reach_rows_without_a_loss() -> None:
    """Losses that nothing in the features tells cannot be predicted, however long the network is trained on the other half."""
    queries, documents, losses = data(300)
    noise = torch.randn(300, generator=torch.Generator().manual_seed(3)).tolist()
    _, quality = cross_fit(queries, documents, noise, **{**FITTING, "epochs": 60}, seed=1)  # type: ignore[arg-type]
    assert abs(quality.spearman) < 0.3
    known = [loss if i < 240 else None for i, loss in enumerate(losses)]
    predictions, _ = cross_fit(queries, documents, known, **FITTING, seed=1)  # type: ignore[arg-type]
    assert spearman(torch.tensor(predictions[240:]), torch.tensor(losses[240:])) > 0.4
    with pytest.raises(ValueError, match="3 known losses found, 4 are the least"):
        cross_fit(queries[:3], documents[:3], losses[:3], **FITTING, seed=1)  # type: ignore[arg-type]


def test_padding_changes_no_prediction() -> None:
    queries, documents, _ = data(6)
    net = LossNet(16).eval()
    with torch.no_grad():
        together = net(Features.of(queries, documents))
        alone = torch.cat([net(Features.of([q], [d])) for q, d in zip(queries, documents, strict=True)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_selection_by_hand() -> None:
    documents = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "c1": "c"}
    values = {"a1": 5.0, "a2": 4.0, "a3": 3.0, "b1": 2.0, "c1": 2.0}
    assert select_ids(documents, values, number=3, drop=0, queries_per_document=2) == {"a1", "a2", "b1"}
    assert select_ids(documents, values, number=2, drop=1, queries_per_document=None) == {"a2", "a3"}
    assert select_ids(documents, values, number=9, drop=0, queries_per_document=1) == {"a1", "b1", "c1"}


QUERIES, DOCUMENTS, LOSSES = data(240)
ROWS = [PseudoQuery(query_id=f"q{i:03}", text="t", doc_id=f"d{i // 3}", status="kept" if i % 4 else "rejected") for i in range(240)]
SETTINGS = {"sample": 170, "top_share": 0.4, "drop_share": 0.0, "queries_per_document": 2, "min_spearman": 0.2, "seed": 5, **FITTING}


def losses_of(rows: Sequence[PseudoQuery]) -> list[float]:
    return [LOSSES[int(row.query_id[1:])] for row in rows]


def vectors_of(rows: Sequence[PseudoQuery]) -> tuple[list[Tensor], list[Tensor]]:
    numbers = [int(row.query_id[1:]) for row in rows]
    return [QUERIES[i] for i in numbers], [DOCUMENTS[i] for i in numbers]


def chosen(mode: str, **changes: object) -> tuple[set[str], dict[str, float]]:
    settings = {**SETTINGS, **changes}
    rows, measures = informative_queries(ROWS, losses_of, vectors_of, mode=mode, **settings)  # type: ignore[arg-type]
    assert [row.query_id for row in rows] == [row.query_id for row in ROWS]
    assert all(row.reason == "selection" for before, row in zip(ROWS, rows, strict=True) if before.status != row.status)
    return {row.query_id for row in rows if row.status == "kept"}, measures


def test_modes() -> None:
    everything, _ = chosen("off")
    assert everything == {row.query_id for row in ROWS if row.status == "kept"}
    exact, _ = chosen("exact")
    lowest = min(LOSSES[int(i[1:])] for i in exact)
    assert len(exact) == 72
    assert sum(LOSSES[int(i[1:])] > lowest for i in everything - exact) <= 20  # those that the cap of two a document left out
    drawn, measures = chosen("random")
    assert len(drawn) == 72 == measures["selected"]
    assert drawn not in (exact, chosen("random", seed=6)[0])
    predicted, measures = chosen("predicted")
    assert measures["spearman"] > 0.2
    assert len(predicted & exact) > len(drawn & exact)


def test_a_net_that_cannot_rank_gives_way_to_exact_losses() -> None:
    with pytest.warns(UserWarning, match="exact losses are used"):
        fallback, measures = chosen("predicted", min_spearman=1.1)
    assert fallback == chosen("exact")[0]
    assert measures["fallback"] == 1
    with pytest.warns(UserWarning, match="exact losses are used"):
        chosen("predicted", sample=2)
