"""Rows built from a corpus: by text, and by titles."""

from __future__ import annotations

from tandem.records import Document, LabelledPair, RankingRow
from tandem.rerankers.candidates import build_rows, title_pairs


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
