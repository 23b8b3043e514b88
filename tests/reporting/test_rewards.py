"""The alarm over a reward that rises while quality falls."""

from __future__ import annotations

from typing import Any

import pytest
from report_records import ROUNDS, UPDATES, record

from tandem.reporting.rewards import reward_alarms


@pytest.mark.parametrize(
    ("reward", "round_trip", "dev", "alarm"),
    [((0.1, 0.9), (0.4, 0.3), (0.5, 0.5), True), ((0.1, 0.9), (0.4, 0.5), (0.5, 0.4), True), ((0.1, 0.9), (0.4, 0.5), (0.5, 0.5), False)],
)
def test_a_reward_that_rises_while_quality_falls(reward: Any, round_trip: Any, dev: Any, alarm: bool) -> None:
    ppo = record("improve_generator", "r1", instance="g2", series={"reward": [(i, reward[i // 5]) for i in range(10)]})
    measured = [record("evaluate_retriever", name, **{"dev/ndcg_at_10": value}) for name, value in zip(ROUNDS, dev, strict=True)]
    generators = {name: {"unseen_top_10": value} for name, value in zip(("g1", "g2"), round_trip, strict=True)}
    (row,) = reward_alarms([ppo, *measured], generators, ROUNDS, UPDATES)
    assert (row.reward_start, row.reward_end) == reward
    assert row.alarm is alarm


def test_without_dev_pairs_there_is_no_alarm_from_them() -> None:
    (row,) = reward_alarms([record("evaluate_retriever", "r1")], {}, ROUNDS, UPDATES)
    assert row.dev_before is None
    assert not row.alarm
