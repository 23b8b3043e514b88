"""Equal scores have one order, in every measure, in the report and for the rerankers, and it favours nobody."""

from __future__ import annotations

import math

import pytest
from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.collections import top_documents
from tandem.evaluation.measures import per_query
from tandem.evaluation.ranking import row_measures
from tandem.rerankers.judge import rerank
from tandem.runs import rank_results


@pytest.mark.parametrize("relevant", range(12))
def test_twelve_documents_of_equal_score(relevant: int) -> None:
    """It once gave nDCG@10 0 and MRR@10 1: one provider took the first id of a tie, the other the last."""
    run = [ScoredDoc("q", f"d{i:02}", 1.0) for i in range(12)]
    values = {name: found["q"] for name, found in per_query([Qrel("q", f"d{relevant:02}", 1)], run).items()}
    place = [item.doc_id for item in rank_results(run)["q"]].index(f"d{relevant:02}") + 1
    assert values["mrr_at_10"] == pytest.approx(1 / place if place <= 10 else 0)
    assert values["ndcg_at_10"] == pytest.approx(1 / math.log2(place + 1) if place <= 10 else 0)
    assert values["recall_at_10"] == (place <= 10)
    assert values["map"] == pytest.approx(1 / place)


def test_reports_and_rerankers_see_the_order_of_the_measures() -> None:
    run = [ScoredDoc("q", f"d{i:02}", 1.0) for i in range(12)]
    order = [item.doc_id for item in rank_results(run)["q"]]
    assert top_documents(run, 5)["q"] == order[:5] == top_documents(run[::-1], 5)["q"]
    seen: list[tuple[str, str]] = []

    def judge(pairs: list[tuple[str, str]]) -> list[float]:
        seen.extend(pairs)
        return [0.0] * len(pairs)

    rerank(judge, run, {"q": "text"}, {f"d{i:02}": f"d{i:02}" for i in range(12)}, depth=3)  # type: ignore[arg-type]
    assert [text for _, text in seen] == order[:3]


def test_ties_favour_neither_relevant_nor_other_documents() -> None:
    """A scorer that says the same of every document earns what chance does, though the relevant one stands first in every row."""
    rows = [(f"query {i}", [("good", 1.0), *((f"bad {j}", 0.0) for j in range(9))]) for i in range(600)]
    chance = sum(1 / place for place in range(1, 11)) / 10
    assert row_measures(rows, lambda pairs: [0.5] * len(pairs))["mrr_at_10"] == pytest.approx(chance, abs=0.04)


def test_what_is_no_number_comes_last() -> None:
    run = [ScoredDoc("q", "a", float("nan")), ScoredDoc("q", "b", -5.0), ScoredDoc("q", "c", float("-inf"))]
    assert rank_results(run)["q"][0].doc_id == "b"
    assert per_query([Qrel("q", "b", 1)], run)["mrr_at_10"]["q"] == 1
