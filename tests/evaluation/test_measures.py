"""Measures against literals."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.measures import LABELS, LARGEST_CUTOFF, MEASURES, MeasureName, mean_measures, measure_runs, per_query


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


def test_every_measure_has_a_label_and_is_allowed_in_params() -> None:
    assert list(MEASURES) == list(LABELS) == list(get_args(MeasureName))
    assert LARGEST_CUTOFF == 100


def test_systems_are_measured_by_name() -> None:
    qrels = [Qrel("q", "a", 1)]
    values, means = measure_runs(qrels, {"first": [ScoredDoc("q", "a", 1.0)], "none": []})
    assert values["first"]["map"] == {"q": 1.0}
    assert (means["first"]["ndcg_at_10"], means["none"]["ndcg_at_10"]) == (1.0, 0.0)
