"""The dev score under many weights at once against the slow way: every run fused and measured by itself, compared to the last bit."""

from __future__ import annotations

import random

import pytest
from ir_measures import ScoredDoc

from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.weight_grid import ScaledRuns, grid_scores
from tandem.runs import FusionMethod, fuse_runs, rank_results

WEIGHTS = [{"x": i / 10, "y": j / 10, "z": (10 - i - j) / 10} for i in range(11) for j in range(11 - i)]


def random_runs(seed: int) -> tuple[dict[str, list[ScoredDoc]], list[tuple[str, str]]]:
    """Three runs of different queries, lengths and scales, with many ties, scores that are no number, and queries without results."""
    draw = random.Random(seed)
    queries = [f"q{i}" for i in range(30)]
    runs = {
        name: [
            ScoredDoc(query_id, f"d{i}", draw.choice([draw.uniform(-9, 9), float(draw.randrange(3)), 1.0, float("nan")]))
            for query_id in draw.sample(queries, 25)
            for i in draw.sample(range(60), draw.randrange(1, 40))
        ]
        for name in "xyz"
    }
    pairs = [(query_id, f"d{i}") for query_id in queries for i in draw.sample(range(70), draw.choice([1, 1, 2, 14]))]
    return runs, [*pairs, pairs[0], ("lacking", "d1")]


@pytest.mark.parametrize("method", ["min_max", "reciprocal_rank"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_score_is_that_of_the_fused_run(method: FusionMethod, seed: int) -> None:
    runs, pairs = random_runs(seed)
    scores = grid_scores(runs, pairs, WEIGHTS, method=method)
    assert len({tuple(by_query.values()) for by_query in scores}) > 50  # the weights matter
    for weights, by_query in zip(WEIGHTS, scores, strict=True):
        assert list(by_query) == sorted({query_id for query_id, _ in pairs})
        assert list(by_query.values()) == ndcg_at_10(pairs, fuse_runs(runs, weights, method=method))


@pytest.mark.parametrize("method", ["min_max", "reciprocal_rank"])
def test_a_fused_run_is_that_of_fuse_runs_ranked_and_cut(method: FusionMethod) -> None:
    runs, _ = random_runs(3)
    table = ScaledRuns(runs, method=method)
    for weights in WEIGHTS[::7]:
        expected = rank_results(fuse_runs(runs, weights, method=method))
        fused = table.fuse(weights, depth=20)
        assert {item.query_id for item in fused} == set(expected)
        for query_id, items in expected.items():
            assert [item for item in fused if item.query_id == query_id] == items[:20]


def test_runs_without_results_and_pairs_that_are_none() -> None:
    assert grid_scores({"x": [], "y": []}, [("q", "d")], [{"x": 1.0}], method="min_max") == [{"q": 0.0}]
    assert grid_scores({"x": [ScoredDoc("q", "d", 1.0)]}, [], [{"x": 1.0}], method="min_max") == [{}]
    assert grid_scores({"x": [ScoredDoc("q", "d", 1.0)]}, [("q", "d")], [{"x": 1.0}, {"x": 0.0}], method="min_max") == [
        {"q": 1.0},
        {"q": 0.0},
    ]
