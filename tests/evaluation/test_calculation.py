"""Values of any measures for each judged query."""

from __future__ import annotations

from ir_measures import RR, Qrel, R, ScoredDoc

from tandem.evaluation.calculation import calculate


def test_only_judged_queries_count_and_all_of_them() -> None:
    qrels = [Qrel("b", "x", 1), Qrel("a", "y", 1), Qrel("c", "z", 0)]
    run = [ScoredDoc("a", "y", 0.5), ScoredDoc("a", "x", 0.7), ScoredDoc("z", "x", 1.0)]
    values = calculate({"reciprocal": RR @ 5, "recall": R @ 1}, qrels, run)
    assert values == {"reciprocal": {"a": 0.5, "b": 0.0}, "recall": {"a": 0.0, "b": 0.0}}
    assert list(values["recall"]) == ["a", "b"]
    assert calculate({"recall": R @ 1}, [], run) == {"recall": {}}
