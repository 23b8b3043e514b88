"""Measures against literals, statistics against closed forms and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.comparison import to_markdown
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.generators import compare_generators, describe_rounds
from tandem.evaluation.generators import to_markdown as to_markdown_of_generators
from tandem.evaluation.measures import mean_measures, per_query
from tandem.evaluation.significance import bootstrap_interval, compare, holm
from tandem.records import Document, PseudoQuery


def test_measures_over_all_judged_queries() -> None:
    """q1 finds its document at rank 2: nDCG 1 / log2(3), RR .5. q2 has no result and counts 0. q3 has no positive judgement."""
    qrels = [Qrel("q1", "a", 1), Qrel("q2", "b", 1), Qrel("q3", "c", 0)]
    run = [ScoredDoc("q1", "x", 3.0), ScoredDoc("q1", "a", 2.0), ScoredDoc("q3", "c", 1.0), ScoredDoc("q9", "a", 1.0)]
    values = per_query(qrels, run)
    assert values["ndcg_at_10"] == {"q1": pytest.approx(1 / math.log2(3)), "q2": 0.0}
    assert mean_measures(values)["mrr_at_10"] == pytest.approx(0.25)
    assert mean_measures(values)["recall_at_10"] == pytest.approx(0.5)
    assert mean_measures(values)["map"] == pytest.approx(0.25)
    assert per_query(qrels, [])["map"] == {"q1": 0.0, "q2": 0.0}


def test_graded_ndcg() -> None:
    """Gains 1 at rank 1 and 2 at rank 2 against the ideal order: (1 + 2 / log2 3) / (2 + 1 / log2 3)."""
    qrels = [Qrel("q", "a", 1), Qrel("q", "b", 2)]
    value = per_query(qrels, [ScoredDoc("q", "a", 2.0), ScoredDoc("q", "b", 1.0)])["ndcg_at_10"]["q"]
    assert value == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))


def test_dev_score() -> None:
    run = [ScoredDoc("q", "a", 1.0)]
    assert ndcg_at_10([("q", "a"), ("r", "a")], run) == [1.0, 0.0]
    assert ndcg_at_10([], []) == []


def test_paired_t_against_its_formula() -> None:
    """t = mean / (sd / sqrt n) of the differences, two-sided with n - 1 degrees of freedom."""
    from scipy.special import stdtr

    rng = np.random.default_rng(0)
    a, b = rng.random(40), rng.random(40)
    difference = b - a
    t = difference.mean() / (difference.std(ddof=1) / math.sqrt(40))
    result = compare({f"{i:02}": v for i, v in enumerate(a)}, {f"{i:02}": v for i, v in enumerate(b)})
    assert result.p_t == pytest.approx(2 * stdtr(39, -abs(t)), abs=1e-9)
    assert result.difference == pytest.approx(difference.mean())


def test_randomisation_against_all_sign_flips() -> None:
    """Ten pairs have 1,024 sign flips: the exact p-value is the share whose mean is at least as far from 0."""
    rng = np.random.default_rng(1)
    difference = rng.normal(0.4, 1.0, 10)
    flips = np.array(list(itertools.product([1, -1], repeat=10))) @ difference / 10
    exact = (np.abs(flips) >= abs(difference.mean()) - 1e-12).mean()
    result = compare({str(i): 0.0 for i in range(10)}, {str(i): v for i, v in enumerate(difference)}, resamples=20_000)
    assert result.p_randomisation == pytest.approx(exact, abs=0.015)


def test_false_positive_rate_is_what_it_says() -> None:
    """Two systems equal by construction: p < .05 in about 5 of 100 trials."""
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(100):
        values = rng.normal(0, 1, 50)
        result = compare({str(i): 0.0 for i in range(50)}, {str(i): v for i, v in enumerate(values)}, resamples=500, seed=trial)
        hits += result.p_randomisation < 0.05
    assert hits <= 12


def test_equal_systems() -> None:
    result = compare({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 0.0})
    assert (result.difference, result.p_t, result.p_randomisation, result.ties) == (0.0, 1.0, 1.0, 2)


def test_systems_over_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="'c' first"):
        compare({"a": 1.0}, {"a": 1.0, "c": 0.0})


def test_holm() -> None:
    """.01 * 3, then .02 * 2, then .5; adjusted values never fall."""
    assert holm([0.02, 0.5, 0.01]) == pytest.approx([0.04, 0.5, 0.03])
    assert holm([0.03, 0.03, 0.03]) == pytest.approx([0.09, 0.09, 0.09])
    assert holm([]) == []


def test_bootstrap_interval_near_the_normal_one() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(values.mean() - 1.96 * 0.1, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * 0.1, abs=0.03)
    assert bootstrap_interval([2.0, 2.0]) == (2.0, 2.0)


def test_table() -> None:
    base = {
        "system": "r0",
        "ndcg_at_10": 0.5,
        "low": 0.4,
        "high": 0.6,
        "recall_at_10": 0.7,
        "recall_at_100": 0.9,
        "mrr_at_10": 0.4,
    }
    row = {**base, "system": "r1", "difference": 0.01, "p_randomisation_holm": 0.3, "wins": 3, "ties": 4, "losses": 2}
    text = to_markdown([base, row], measure="ndcg_at_10", baseline="r0")
    assert "| r1 | 0.500 [0.400, 0.600] | 0.700 | 0.900 | 0.400 | +0.010 | 0.300 | 3/4/2 |" in text


def pair(query_id: str, text: str, doc_id: str) -> PseudoQuery:
    return PseudoQuery(query_id=query_id, text=text, doc_id=doc_id)


def test_generators_by_hand() -> None:
    """Two documents, two queries each. g0 brings back one of four within 10 (rank 2), g1 three (ranks 1, 10, 3), one at 70."""
    ids = [("a", "d1"), ("b", "d1"), ("c", "d2"), ("d", "d2")]
    trials = {"g0": [pair(i, "same text", d) for i, d in ids], "g1": [pair(i, f"text {i} of it", d) for i, d in ids]}
    ranks = {"same text": {"a": 2, "b": 11}, "text a of it": {"a": 1, "b": 10, "c": 3, "d": 70}}
    judges = {"unseen": lambda pairs: ranks[pairs[0].text], "rewarded": lambda pairs: {"a": 1}}
    texts = {"d1": "text a of it, and more", "d2": "nothing"}
    rows, values = compare_generators(trials, [], judges, texts, parents={"g1": "g0"}, resamples=100, seed=0)
    first, second = rows
    assert values == {"g0": {"d1": 0.5, "d2": 0.0}, "g1": {"d1": 1.0, "d2": 0.5}}
    assert (second["top_1"], second["top_10"]) == (0.25, 0.25)  # by the rewarded search, which the test is not on
    assert second["copied_share"] == pytest.approx((4 + 2) / 4 / 4)  # a: all of it; b: "of it"; c and d: nothing
    assert (first["unseen_top_1"], first["unseen_top_10"], first["unseen_top_70"], first["distinct_share"]) == (0, 0.25, 0.5, 0.25)
    assert (second["unseen_top_1"], second["unseen_top_10"], second["unseen_top_70"], second["distinct_share"]) == (0.25, 0.75, 1, 1)
    assert second["mean_words"] == 4
    assert "difference" not in first
    assert second["difference"] == 0.5  # d1 from .5 to 1, d2 from 0 to .5
    assert "| g1 | 25.0% | 75.0% | 25.0% | 25.0% | 37.5% | 100.0% | 4.0 | g0 | +50.0% [" in to_markdown_of_generators(rows)


def test_nothing_to_try_generators_on_is_no_error() -> None:
    judges = dict.fromkeys(("unseen", "rewarded"), lambda pairs: {})
    rows, _ = compare_generators({"g0": [], "g1": []}, [], judges, {}, parents={"g1": "g0"}, resamples=10, seed=0)
    assert [row["top_10"] for row in rows] == [0, 0]


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
