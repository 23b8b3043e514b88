"""Funnels, drift and histograms of queries, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.records import Difficulty, Document, PseudoQuery
from tandem.reporting.queries import drift, funnel, histogram


def generated(text: str, doc_id: str, status: Any = "kept", reason: str = "") -> PseudoQuery:
    return PseudoQuery(query_id=text, text=text, doc_id=doc_id, status=status, reason=reason)


def test_what_queries_look_like() -> None:
    """'sort a list' shares two of three words with its document, 'Sort  a list' the same; lengths 3, 3: no deviation."""
    documents = [Document(doc_id="d", text="how to sort a table")]
    (row,) = drift({"g": [generated("sort a list", "d"), generated("Sort  a list", "d")]}, documents)
    assert row.mean_words == 3.0
    assert row.deviation_words == 0.0
    assert row.distinct_share == 0.5
    assert row.overlap == pytest.approx(2 / 3)
    assert row.first_words == "sort 100%"
    (empty,) = drift({"none": []}, documents)
    assert empty.number == empty.overlap == 0


def test_the_funnel_ends_in_what_was_kept() -> None:
    rows = [generated("a", "d"), *(generated(str(i), "d", "rejected", "bm25") for i in range(2)), generated("c", "d", "rejected", "dense")]
    assert funnel(rows) == [("bm25", 2), ("dense", 1), ("kept", 1)]


def test_bins_hold_every_query() -> None:
    rows = [Difficulty(query_id=str(i), doc_id="d", rank=1, score=0, difficulty=float(i)) for i in range(11)]
    bins = histogram(rows, bins=5)
    assert [count for _, count in bins] == [2, 2, 2, 2, 3]
    assert bins[0][0] == 0.0
    assert sum(count for _, count in histogram(rows[:1])) == 1
