"""What no collection trains on: its test queries."""

from __future__ import annotations

from tandem.corpora.collection import without_test_queries
from tandem.records import LabelledPair


def test_training_pairs_of_test_queries_are_dropped() -> None:
    test = [LabelledPair(query_id="t", text="Find  it", doc_id="d")]
    other = LabelledPair(query_id="q1", text="text 1", doc_id="d1")
    train = [
        LabelledPair(query_id="a", text="find IT", doc_id="e"),
        LabelledPair(query_id="t", text="x", doc_id="e"),
        other,
    ]
    assert without_test_queries(train, test) == [other]


def test_near_duplicates_of_test_queries_leave_training_where_that_is_asked_for() -> None:
    test = [LabelledPair(query_id="t", text="how do I sort a list", doc_id="d")]
    texts = {"a": "how do I sort a list quickly", "b": "How do I sort a list?", "c": "merge two tables"}
    train = [LabelledPair(query_id=name, text=text, doc_id="d") for name, text in texts.items()]
    assert [pair.query_id for pair in without_test_queries(train, test)] == ["a", "b", "c"]
    assert [pair.query_id for pair in without_test_queries(train, test, threshold=0.85)] == ["c"]
    assert [pair.query_id for pair in without_test_queries(train, test, threshold=0.9)] == ["a", "c"]
