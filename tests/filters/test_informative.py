"""The selection of queries by their loss: by hand, by every mode, and where LossNet cannot rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from loss_rows import FITTING, data
from torch import Tensor

from tandem.filters.informative import SelectionSettings, informative_queries, select_ids
from tandem.records import PseudoQuery


def test_selection_by_hand() -> None:
    documents = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "c1": "c"}
    values = {"a1": 5.0, "a2": 4.0, "a3": 3.0, "b1": 2.0, "c1": 2.0}
    assert select_ids(documents, values, number=3, drop=0, queries_per_document=2) == {"a1", "a2", "b1"}
    assert select_ids(documents, values, number=2, drop=1, queries_per_document=None) == {"a2", "a3"}
    assert select_ids(documents, values, number=9, drop=0, queries_per_document=1) == {"a1", "b1", "c1"}


QUERIES, DOCUMENTS, LOSSES = data(240)
ROWS = [PseudoQuery(query_id=f"q{i:03}", text="t", doc_id=f"d{i // 3}", status="kept" if i % 4 else "rejected") for i in range(240)]
SETTINGS: dict[str, Any] = {"sample": 170, "top_share": 0.4, "drop_share": 0.0, "queries_per_document": 2, "min_spearman": 0.2, **FITTING}


class Known:
    """Losses that are known beforehand."""

    def losses(self, rows: Sequence[PseudoQuery]) -> list[float]:
        return [LOSSES[int(row.query_id[1:])] for row in rows]

    def vectors(self, rows: Sequence[PseudoQuery]) -> tuple[list[Tensor], list[Tensor]]:
        numbers = [int(row.query_id[1:]) for row in rows]
        return [QUERIES[i] for i in numbers], [DOCUMENTS[i] for i in numbers]


def chosen(mode: str, *, seed: int = 5, **changes: Any) -> tuple[set[str], dict[str, float]]:
    settings = SelectionSettings(**{"mode": mode, **SETTINGS, **changes})
    rows, measures = informative_queries(ROWS, Known() if settings.needs_losses else None, settings, seed=seed)
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
        fallback, measures = chosen("predicted", min_spearman=1.0)
    assert fallback == chosen("exact")[0]
    assert measures["fallback"] == 1
    with pytest.warns(UserWarning, match="exact losses are used"):
        chosen("predicted", sample=2)


def test_a_mode_that_needs_losses_asks_for_them() -> None:
    with pytest.raises(ValueError, match="mode: exact found, which needs the loss of a retriever"):
        informative_queries(ROWS, None, SelectionSettings(mode="exact", **SETTINGS), seed=1)
