"""Mixing two runs: by hand, with ties and gaps, and the weight that dev queries choose."""

from __future__ import annotations

import pytest
from ir_measures import ScoredDoc

from tandem.evaluation.interpolation import choose_weight, cross_fit, interpolate
from tandem.runs import below


def run(**queries: dict[str, float]) -> list[ScoredDoc]:
    return [ScoredDoc(query_id, doc_id, score) for query_id, scores in queries.items() for doc_id, score in scores.items()]


def test_scores_are_scaled_within_a_query_and_mixed() -> None:
    """q: first scales to 1, .5, 0; second to 0, 1 (c is not in it). At a weight of .4: .4, .2 + .6, 0."""
    first, second = run(q={"a": 30, "b": 20, "c": 10}, p={"a": 7}), run(q={"a": -2, "b": -1}, p={"a": 3})
    found = {(item.query_id, item.doc_id): item.score for item in interpolate(first, second, 0.4)}
    assert found == pytest.approx({("q", "a"): 0.4, ("q", "b"): 0.8, ("q", "c"): 0.0, ("p", "a"): 1.0})


def test_the_weight_is_that_of_the_better_run_and_a_half_between_equals() -> None:
    names = [f"q{i}" for i in range(16)]  # so many that a tie, at a weight of a half, is lost by some
    good, bad = run(**{q: {"a": 3, "b": 2, "c": 1} for q in names}), run(**{q: {"a": 1, "b": 2, "c": 3} for q in names})
    pairs = [(q, "a") for q in names]
    assert choose_weight(good, bad, pairs) == 0.55  # the first weight above a half, where a comes first
    assert choose_weight(bad, good, pairs) == 0.45
    assert choose_weight(good, good, pairs) == 0.5
    assert choose_weight([], [], []) == 0.5


def test_a_cross_fitted_weight_never_saw_its_own_half() -> None:
    """The first run is right on even queries and the second on odd ones: a weight from one half is wrong on the other."""
    pairs = [(f"q{i}", "a") for i in range(16)]  # so many that a tie, at a weight of a half, is lost by some

    def one_sided(right: int) -> list[ScoredDoc]:
        return [ScoredDoc(q, d, float((d == "a") == (i % 2 == right))) for i, (q, _) in enumerate(pairs) for d in "ab"]

    first, second = one_sided(0), one_sided(1)
    mixed = {(item.query_id, item.doc_id): item.score for item in cross_fit(first, second, pairs)}
    assert all(mixed[q, "a"] < mixed[q, "b"] for q, _ in pairs)
    rest = [ScoredDoc("q0", "c", 9.0), ScoredDoc("q0", "d", 8.0)]
    ranked = sorted((item for item in below(cross_fit(first, second, pairs), rest) if item.query_id == "q0"), key=lambda item: -item.score)
    assert [item.doc_id for item in ranked] == ["b", "a", "c", "d"]
    assert 0 <= choose_weight(first, second, pairs) <= 1
