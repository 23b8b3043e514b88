"""Runs as values: fusion by scaled scores and by ranks."""

from __future__ import annotations

import math

import pytest
from ir_measures import ScoredDoc

from tandem.runs import fuse_runs


def scores(run: list[ScoredDoc]) -> dict[str, float]:
    return {item.doc_id: item.score for item in run}


FIRST = [ScoredDoc("q", "a", 30.0), ScoredDoc("q", "b", 20.0), ScoredDoc("q", "c", 10.0)]
SECOND = [ScoredDoc("q", "b", 0.9), ScoredDoc("q", "d", 0.1)]


def test_scores_are_scaled_within_a_query() -> None:
    """a: 1 and missing; b: .5 and 1; c: 0 and missing; d: missing and 0."""
    fused = fuse_runs({"x": FIRST, "y": SECOND}, {"x": 0.5, "y": 0.5}, method="min_max")
    assert scores(fused) == {"a": 0.5, "b": 0.75, "c": 0.0, "d": 0.0}
    assert scores(fuse_runs({"x": FIRST, "y": SECOND}, {"x": 1.0, "y": 0.0}, method="min_max")) == {"a": 1.0, "b": 0.5, "c": 0.0}


def test_reciprocal_ranks() -> None:
    fused = scores(fuse_runs({"x": FIRST, "y": SECOND}, {"x": 1.0, "y": 2.0}, method="reciprocal_rank"))
    assert fused["a"] == pytest.approx(1 / 61)
    assert fused["b"] == pytest.approx(1 / 62 + 2 / 61)


def test_equal_scores_and_what_is_no_number() -> None:
    flat = [ScoredDoc("q", "a", 3.0), ScoredDoc("q", "b", 3.0)]
    assert scores(fuse_runs({"x": flat}, {"x": 1.0}, method="min_max")) == {"a": 1.0, "b": 1.0}
    broken = [ScoredDoc("q", "a", 3.0), ScoredDoc("q", "b", math.nan), ScoredDoc("q", "c", 1.0)]
    assert scores(fuse_runs({"x": broken}, {"x": 1.0}, method="min_max")) == {"a": 1.0, "b": 0.0, "c": 0.0}
