"""Rows built from a corpus: by text, and by titles."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tandem.records import Document, LabelledPair, PseudoQuery, RankingRow
from tandem.rerankers.candidates import QuerySettings, build_rows, choose_queries, title_pairs


def test_rows_are_built_by_text() -> None:
    pairs = [LabelledPair(query_id="q", text="which", doc_id=doc_id) for doc_id in ("a", "b")]
    texts = {"a": "one", "b": "one", "c": "two", "d": "", "e": "one"}
    (row,) = build_rows(pairs, {"q": ["c", "d", "e"]}, texts)
    assert row == RankingRow(query="which", pos=["one"], neg=["two"])


def test_titles_are_queries_unless_somebody_asked_them() -> None:
    titles = {"a": "Sort  rows", "b": "", "c": "Draw a line", "d": "Mean of arrays", "e": "???"}
    corpus = [Document(doc_id=doc_id, title=title, text="text") for doc_id, title in titles.items()]
    known = [LabelledPair(query_id="q", text="sort rows", doc_id="c")]
    drawn = title_pairs(corpus, known, number=9, seed=1)
    assert {(pair.query_id, pair.text, pair.doc_id) for pair in drawn} == {
        ("title:c", "Draw a line", "c"),
        ("title:d", "Mean of arrays", "d"),
        ("title:e", "???", "e"),
    }
    assert title_pairs(corpus, known, number=2, seed=1) == title_pairs(corpus, known, number=2, seed=1)
    assert len(title_pairs(corpus, known, number=2, seed=1)) == 2


LABELLED = [LabelledPair(query_id="q1", text="sort rows", doc_id="a"), LabelledPair(query_id="q2", text="no", doc_id="a", relevance=0)]
GENERATED = [
    PseudoQuery(query_id="r1-0", text="Sort  rows", doc_id="b", status="kept"),
    PseudoQuery(query_id="r1-1", text="draw", doc_id="c", status="kept"),
    PseudoQuery(query_id="r1-2", text="lines", doc_id="c", status="rejected", reason="bm25"),
    PseudoQuery(query_id="r1-3", text="mean", doc_id="d", status="kept"),
]
DEV = [LabelledPair(query_id="x", text="MEAN", doc_id="e")]


def chosen(queries: str, kept: int = 9) -> set[tuple[str, str, str]]:
    settings = QuerySettings(queries=queries, round="r1", kept_queries=kept)  # type: ignore[arg-type]
    return {(pair.query_id, pair.text, pair.doc_id) for pair in choose_queries(LABELLED, GENERATED, DEV, settings, seed=1)}


def test_labelled_pairs_and_kept_queries_but_no_dev_query() -> None:
    assert chosen("off") == set()
    assert chosen("labelled") == {("q1", "sort rows", "a")}
    assert chosen("kept") == {("r1-0", "Sort  rows", "b"), ("r1-1", "draw", "c")}
    # One text is one query, whoever wrote it: each of its documents is relevant, and a negative of neither.
    assert chosen("both") == {("q1", "sort rows", "a"), ("q1", "Sort  rows", "b"), ("r1-1", "draw", "c")}
    assert chosen("kept", 0) == set()


def test_round_0_has_no_kept_queries() -> None:
    with pytest.raises(ValidationError, match="round: 'r0' found, which has no kept queries; queries: both needs another round"):
        QuerySettings(queries="both", round="r0", kept_queries=1)
    assert QuerySettings(queries="labelled", round="r0", kept_queries=1).round == "r0"
