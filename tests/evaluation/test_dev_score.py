"""The number that chooses checkpoints is nDCG@10 as it is reported."""

from __future__ import annotations

from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.measures import per_query


def test_dev_score() -> None:
    run = [ScoredDoc("q", "a", 1.0)]
    assert ndcg_at_10([("q", "a"), ("r", "a")], run) == [1.0, 0.0]
    assert ndcg_at_10([], []) == []


def test_the_dev_score_is_the_reported_measure() -> None:
    run = [ScoredDoc(f"q{i}", f"d{j}", float((i * 7 + j * 3) % 11)) for i in range(9) for j in range(20)]
    pairs = [(f"q{i}", f"d{(i * 5) % 23}") for i in range(9)]
    reported = per_query([Qrel(query_id, doc_id, 1) for query_id, doc_id in pairs], run)["ndcg_at_10"]
    assert ndcg_at_10(pairs, run) == list(reported.values())
    assert 0 < sum(reported.values()) < 9
