"""BEIR's files, as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from ir_measures import Qrel

from tandem.formats.beir import read_corpus, read_judgements, read_qrels, read_queries, split_known, to_queries, write_qrels
from tandem.formats.errors import InputError
from tandem.records import LabelledPair, Query


def test_a_corpus_without_the_documents_that_have_no_text(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"_id": 1, "title": "t", "text": ""}\n{"_id": "2.0", "text": "x"}\n{"_id": "3", "title": null, "text": " "}\n')
    documents, empty = read_corpus(path)
    assert [(document.doc_id, document.title, document.text) for document in documents] == [("1", "t", ""), ("2", "", "x")]
    assert empty == ["3"]


def test_queries_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "b", "text": "two"}\n{"_id": "a", "text": "one"}\n')
    assert read_queries(tmp_path / "queries.jsonl") == [Query(query_id="b", text="two"), Query(query_id="a", text="one")]


def test_judgements_round_trip_and_repetitions_are_named(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    qrels = [Qrel("q", "a", 1), Qrel("q", "b", 0)]
    write_qrels(path, qrels)
    assert read_qrels(path) == qrels
    path.write_text(path.read_text() + "q\ta\t1\n")
    assert read_judgements(path) == (qrels, ["test.tsv:4"])
    path.write_text(path.read_text() + "q\tb\t1\n")
    with pytest.raises(InputError, match=r"test.tsv:5: query 'q' and document 'b' are judged a second time, 1 after 0"):
        read_judgements(path)


def test_judgements_of_what_is_absent_are_told_by_what_they_lack() -> None:
    qrels = [Qrel("q", "a", 1), Qrel("q", "x", 1), Qrel("q", "b", 1), Qrel("y", "a", 1)]
    known, absent = split_known(qrels, Path("test.tsv"), query_ids={"q"}, doc_ids={"a", "b"})
    assert known == [qrels[0], qrels[2]]
    assert list(absent.values()) == [["y"], ["x"]]
    with pytest.raises(InputError, match=r"most of the split is absent"):
        split_known(qrels, Path("test.tsv"), query_ids={"y"}, doc_ids={"b"})


def test_pairs_as_queries_and_judgements() -> None:
    pairs = [LabelledPair(query_id="q", text="t", doc_id=doc_id, relevance=level) for doc_id, level in (("a", 1), ("b", 2))]
    assert to_queries(pairs) == ([Query(query_id="q", text="t")], [Qrel("q", "a", 1), Qrel("q", "b", 2)])
