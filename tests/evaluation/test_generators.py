"""Generators side by side, by hand."""

from __future__ import annotations

import pytest

from tandem.evaluation.generator_report import to_markdown
from tandem.evaluation.generators import COLUMNS, TrainingRow, compare_generators, compare_training, to_metrics
from tandem.evaluation.significance import SignificanceSettings
from tandem.records import PseudoQuery

SETTINGS = SignificanceSettings(resamples=100, seed=0)


def pair(query_id: str, text: str, doc_id: str) -> PseudoQuery:
    return PseudoQuery(query_id=query_id, text=text, doc_id=doc_id)


def test_generators_by_hand() -> None:
    """Two documents, two queries each. g0 brings back one of four within 10 (rank 2), g1 three (ranks 1, 10, 3), one at 70."""
    ids = [("a", "d1"), ("b", "d1"), ("c", "d2"), ("d", "d2")]
    trials = {"g0": [pair(i, "same text", d) for i, d in ids], "g1": [pair(i, f"text {i} of it", d) for i, d in ids]}
    ranks = {"same text": {"a": 2, "b": 11}, "text a of it": {"a": 1, "b": 10, "c": 3, "d": 70}}
    judges = {"unseen": lambda pairs: ranks[pairs[0].text], "rewarded": lambda pairs: {"a": 1}}
    texts = {"d1": "text a of it, and more", "d2": "nothing"}
    rows, values = compare_generators(trials, [], judges, texts, parents={"g1": "g0"}, settings=SETTINGS)
    first, second = rows
    assert values == {"g0": {"d1": 0.5, "d2": 0.0}, "g1": {"d1": 1.0, "d2": 0.5}}
    assert (second.top[1], second.top[10]) == (0.25, 0.25)  # by the rewarded search, which the test is not on
    assert second.copied_share == pytest.approx((4 + 2) / 4 / 4)  # a: all of it; b: "of it"; c and d: nothing
    assert (first.unseen_top, first.distinct_share) == ({1: 0, 10: 0.25, 70: 0.5}, 0.25)
    assert (second.unseen_top, second.distinct_share) == ({1: 0.25, 10: 0.75, 70: 1}, 1)
    assert second.mean_words == 4
    assert first.test is None
    assert second.test is not None
    assert second.test.difference == 0.5  # d1 from .5 to 1, d2 from 0 to .5
    assert list(second.as_dict()) == COLUMNS
    assert "| g1 | 25.0% | 75.0% | 25.0% | 25.0% | 37.5% | 100.0% | 4.0 | g0 | +50.0% [" in to_markdown(rows)


def test_nothing_to_try_generators_on_is_no_error() -> None:
    judges = dict.fromkeys(("unseen", "rewarded"), lambda pairs: {})
    rows, _ = compare_generators({"g0": [], "g1": []}, [], judges, {}, parents={"g1": "g0"}, settings=SETTINGS)
    assert [row.top[10] for row in rows] == [0, 0]


def test_what_is_learnt_is_tested_against_the_parent_or_the_untrained_retriever() -> None:
    values = {"untrained": {"a": 0.2, "b": 0.2}, "g1": {"a": 0.4, "b": 0.4}, "g2": {"a": 0.5, "b": 0.5}}
    rows = compare_training(values, parents={"g1": "base", "g2": "g1"}, settings=SETTINGS)
    assert rows["untrained"] == TrainingRow(0.2)
    assert [(rows[name].against, rows[name].test.difference) for name in ("g1", "g2")] == [  # type: ignore[union-attr]
        ("untrained", pytest.approx(0.2)),
        ("g1", pytest.approx(0.1)),
    ]
    metrics = to_metrics([], rows)
    assert metrics["untrained"] == {"trained": 0.2}
    assert list(metrics["g2"]) == ["trained", "trained_against", "trained_difference", "trained_p"]
    assert "| nothing | 0.200 |  |  |  |" in to_markdown([], rows)
    assert "| g2 | 0.500 | g1 | +0.100 |" in to_markdown([], rows)
