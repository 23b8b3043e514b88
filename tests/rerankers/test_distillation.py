"""A teacher's scores: cached by content, written as labels; its quality by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tandem.rerankers.distillation import ScoreCache, area_under_curve, teach, teacher_auc


def test_scores_are_cached_by_content_and_teacher(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def scorer(pairs: Any) -> list[float]:
        asked.extend(pairs)
        return [float(len(query) + len(document)) for query, document in pairs]

    pairs = [("q", "a"), ("q", "bb"), ("q", "a")]
    assert ScoreCache(tmp_path / "cache", "one").score(pairs, scorer, chunk=1) == [2.0, 3.0, 2.0]
    assert asked == [("q", "a"), ("q", "bb")]
    with (tmp_path / "cache").open("ab") as file:
        file.write(b'["half a li')
    assert ScoreCache(tmp_path / "cache", "one").score([*pairs, ("q", "ccc")], scorer) == [2.0, 3.0, 2.0, 4.0]
    assert asked[2:] == [("q", "ccc")]
    ScoreCache(tmp_path / "other", "two").score(pairs[:1], scorer)
    assert asked[3:] == [("q", "a")]


def test_teaching_writes_the_standard_form() -> None:
    (row,) = teach([("q", [("a", 1.0), ("b", 0.0)])], lambda pairs: [2.0, -2.0][: len(pairs)], temperature=2.0)
    assert row.pos == ["a", "b"]
    assert row.pos_scores == pytest.approx([0.7310586, 0.2689414])  # sigmoid(1), sigmoid(-1)


def test_area_under_curve_by_hand() -> None:
    """Positives .9 and .4, negatives .5 and .4: of four pairs two are won, one tied, one lost."""
    assert area_under_curve([1, 1, 0, 0], [0.9, 0.4, 0.5, 0.4]) == pytest.approx(2.5 / 4)


def test_a_teacher_is_measured_over_all_pairs() -> None:
    """The same four logits, of two queries."""
    scores = {("q", "a"): 0.9, ("q", "b"): 0.5, ("r", "a"): 0.4, ("r", "b"): 0.4}
    rows = [("q", [("a", 1.0), ("b", 0.0)]), ("r", [("a", 1.0), ("b", 0.0)])]
    assert teacher_auc(rows, lambda pairs: [scores[pair] for pair in pairs]) == pytest.approx(2.5 / 4)
