"""A reranker's dev values against hand-derived ones."""

from __future__ import annotations

import math

import pytest

from tandem.evaluation.ranking import row_measures, row_values


def test_rows_by_hand() -> None:
    """Row 1 has its relevant document second: nDCG 1 / log2 3, RR and AP a half. Row 2 has it first. Row 3 has none and does not count."""
    rows = [("one", [("bad", 0.0), ("good", 1.0)]), ("two", [("good", 0.6), ("bad", 0.5)]), ("three", [("bad", 0.0)])]
    scores = {("one", "bad"): 2.0, ("one", "good"): 1.0, ("two", "good"): 2.0, ("two", "bad"): 1.0, ("three", "bad"): 0.0}
    values = row_values(rows, lambda pairs: [scores[pair] for pair in pairs])
    assert values == {"ndcg_at_10": [pytest.approx(1 / math.log2(3)), 1.0], "mrr_at_10": [0.5, 1.0], "map": [0.5, 1.0]}
    assert row_measures(rows, lambda pairs: [scores[pair] for pair in pairs])["map"] == 0.75
    assert row_measures([], lambda pairs: []) == {"ndcg_at_10": 0.0, "mrr_at_10": 0.0, "map": 0.0}
