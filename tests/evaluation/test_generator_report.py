"""Queries of every round with their outcome."""

from __future__ import annotations

from tandem.evaluation.generator_report import describe_rounds
from tandem.records import Document, PseudoQuery


def test_rounds_are_described_with_reasons_and_examples() -> None:
    rows = [
        PseudoQuery(query_id=f"q{i}", text=f"a | b {i}", doc_id="d", status=status, reason=reason, ranks={"bm25": i + 1})
        for i, (status, reason) in enumerate([("kept", ""), ("rejected", "bm25"), ("rejected", "bm25")])
    ]
    text = describe_rounds({"r1": rows}, [Document(doc_id="d", title="", text="a title")], examples=2, seed=0)
    assert "## Round r1: 1 of 3 queries kept" in text
    assert "| bm25 | 2 |" in text
    assert text.count("| a title |") == 2
    assert "a \\| b" in text
