"""Rerankers over a run: names in the table, weights chosen on dev alone, and who is champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.collections import Judged
from tandem.evaluation.reranked import RerankedSettings, Rescore, Scored, measure_reranked

QUERIES = {f"q{i:02d}": "text" for i in range(20)}
RUN = [ScoredDoc(query_id, doc_id, score) for query_id in QUERIES for doc_id, score in (("b", 3.0), ("a", 2.0), ("c", 1.0))]
SETTINGS = RerankedSettings(measure="ndcg_at_10", alpha=0.05, resamples=200, seed=1)


def judged(relevant: str) -> Judged:
    return Judged({}, QUERIES, [Qrel(query_id, relevant, 1) for query_id in QUERIES])


def likes(doc_id: str, depth: int = 2) -> Rescore:
    """Puts a document above the others among the first."""

    def rescore(run: Sequence[ScoredDoc], queries: Mapping[str, str], documents: Mapping[str, str]) -> Scored:
        first = [item for item in run if item.score > 3 - depth]
        return [ScoredDoc(i.query_id, i.doc_id, float(i.doc_id == doc_id)) for i in first], first, [i for i in run if i not in first]

    return rescore


def test_each_reranker_is_a_row_and_the_better_one_champion() -> None:
    collections = {"test": judged("a"), "dev": judged("a")}
    rescorers = {"relevance": likes("b"), "likelihood": likes("a")}
    values, outcome = measure_reranked("fusion", collections, {"test": RUN, "dev": RUN}, rescorers, SETTINGS)
    assert list(values) == ["fusion+reranker", "fusion+likelihood"]
    assert outcome["champion"] == "likelihood"
    assert outcome["weights"]["likelihood"] > 0.5
    means = {name: sum(measures["ndcg_at_10"].values()) / 20 for name, measures in values.items()}
    assert means["fusion+likelihood"] == 1.0 > means["fusion+reranker"]


def test_a_weight_of_0_is_allowed_and_no_champion() -> None:
    """Of the run's own order dev says that it is right: whatever the reranker says, it is not heard."""
    collections = {"test": judged("b"), "dev": judged("b")}
    values, outcome = measure_reranked("fusion", collections, {"test": RUN, "dev": RUN}, {"likelihood": likes("a")}, SETTINGS)
    assert outcome["weights"]["likelihood"] < 0.5
    assert outcome["champion"] == ""
    assert set(values["fusion+likelihood"]["ndcg_at_10"].values()) == {1.0}


def test_test_judgements_choose_nothing() -> None:
    outcomes = []
    for right in ("a", "b"):
        collections = {"test": judged(right), "dev": judged("a")}
        outcomes.append(measure_reranked("fusion", collections, {"test": RUN, "dev": RUN}, {"likelihood": likes("a")}, SETTINGS)[1])
    assert outcomes[0] == outcomes[1]


def test_no_reranker_no_row() -> None:
    values, outcome = measure_reranked("fusion", {}, {"test": RUN, "dev": RUN}, {}, SETTINGS)
    assert values == {}
    assert outcome == {"champion": "", "decisions": [], "models": {}, "weights": {}}
