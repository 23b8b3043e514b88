"""Columns of every loss, from groups of uneven size."""

from __future__ import annotations

import pytest

from tandem.rerankers.losses import build_columns

GROUPS = [("q", [("a", 1.0), ("b", 0.5), ("c", 0.0)]), ("r", [("d", 1.0), ("e", 0.0)]), ("s", [("f", 1.0)])]


def test_columns_of_uneven_groups() -> None:
    points, width = build_columns(GROUPS, "point_ce")
    assert (points["query"], points["document"], width) == (["q", "q", "q", "r", "r", "s"], list("abcdef"), 3)
    assert points["label"] == [1.0, 0.5, 0.0, 1.0, 0.0, 1.0]
    margins, _ = build_columns(GROUPS, "margin_mse")
    assert margins["negative_2"] == ["c", "e"]
    assert margins["label"] == [[1.0, 0.5, 0.0], [1.0, 0.0, 0.0]]
    lists, _ = build_columns(GROUPS, "lambda")
    assert lists["documents"] == [["a", "b", "c"], ["d", "e"]]
    with pytest.raises(ValueError, match="no query has two"):
        build_columns(GROUPS[2:], "rank_net")
