"""Several rewards as one: capped, weighted, summed, each one's mean told; what is no number is refused by name."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tandem.generators.rewards import WeightedRewards
from tandem.interfaces import Reward


def constant(*scores: float) -> Reward:
    def reward(queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
        return list(scores)

    return reward


def test_rewards_are_capped() -> None:
    reward = WeightedRewards({"one": (1.0, constant(1e9, -1e9, 0.5))}, cap=3.0)
    assert reward(["a", "b", "c"], ["d"] * 3) == [3.0, -3.0, 0.5]
    two = WeightedRewards({"one": (0.1, constant(50.0)), "other": (1.0, constant(0.5))}, cap=3.0)
    assert two(["a"], ["d"]) == pytest.approx([0.8])
    assert WeightedRewards({"one": (2.0, constant(math.inf))}, cap=3.0)(["a"], ["d"]) == [6.0]


def test_the_mean_of_each_is_neither_cut_nor_weighted() -> None:
    """(50 + 1) / 2 and (.5 - .5) / 2; the sums are .1 * 3 + .5 and .1 * 1 - .5."""
    rewards = WeightedRewards({"one": (0.1, constant(50.0, 1.0)), "other": (1.0, constant(0.5, -0.5))}, cap=3.0)
    scores = rewards.score(["a", "b"], ["d", "e"])
    assert scores.means == {"one": 25.5, "other": 0.0}
    assert scores.totals == pytest.approx([0.8, -0.4])


def test_each_query_meets_its_document() -> None:
    def right(queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
        return [float(query == doc_id) for query, doc_id in zip(queries, doc_ids, strict=True)]

    assert WeightedRewards({"right": (1.0, right)}, cap=1.0)(["a", "b"], ["a", "c"]) == [1.0, 0.0]


def test_what_is_no_number_is_named() -> None:
    """min and max let it pass, and every sum after it is none."""
    rewards = WeightedRewards({"good": (1.0, constant(0.0, 0.0)), "bad": (1.0, constant(0.0, math.nan))}, cap=3.0)
    with pytest.raises(ValueError, match=r"reward bad: nan found for query 'two' of document 'e', a number is expected; .* the weight 0"):
        rewards(["one", "two"], ["d", "e"])


def test_one_number_for_each_query() -> None:
    with pytest.raises(ValueError, match="reward short: 1 numbers found for 2 queries"):
        WeightedRewards({"short": (1.0, constant(0.0))}, cap=3.0)(["one", "two"], ["d", "e"])
