"""Queries that changed most, by hand."""

from __future__ import annotations

from tandem.reporting.changes import ListedDocument, SystemResults, changes

BEGINNINGS = {"d1": "one", "d2": "two"}


def test_queries_that_changed_most() -> None:
    before, after = {"a": 0.1, "b": 0.5, "c": 0.9}, {"a": 0.9, "b": 0.5, "c": 0.2}
    first, second = {"a": ["d1"], "b": [], "c": ["d2"]}, {"a": ["d2"], "b": [], "c": ["d1"]}
    queries = {name: name * 3 for name in before}
    changed = changes(SystemResults(before, first), SystemResults(after, second), queries, {"a": {"d2"}}, BEGINNINGS, examples=5)
    assert [row.query for row in changed["gained"]] == ["aaa"]
    assert [row.query for row in changed["lost"]] == ["ccc"]
    assert changed["gained"][0].documents == ([ListedDocument("d1", "one", relevant=False)], [ListedDocument("d2", "two", relevant=True)])
