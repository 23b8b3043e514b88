"""Reward against retrieval quality: whether an update of the generator raised its reward and lowered what the reward stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.reporting.stage_records import StageRecord
from tandem.runtime.rounds import RoundPlan, UpdatePlan

__all__ = ["RewardRow", "reward_alarms"]

END_SHARE = 5  # the first and the last fifth of the steps are compared


@dataclass(frozen=True, slots=True)
class RewardRow:
    """One update of the generator.

    ``reward_start`` and ``reward_end`` are means over the first and the last fifth of the steps; ``dev_before`` and ``dev_after`` the mean
    dev nDCG@10 of the rounds that train on the base's queries and on the update's; ``round_trip_before`` and ``round_trip_after`` the
    share of their queries that find their source document within 10. What was not measured is None.
    """

    update: str
    base: str
    reward_start: float
    reward_end: float
    dev_before: float | None
    dev_after: float | None
    round_trip_before: float | None
    round_trip_after: float | None

    @property
    def alarm(self) -> bool:
        """Whether the reward rose while quality fell: the mark of a hacked reward. It is a sign, not a test; the gate has the tests."""
        return self.reward_end > self.reward_start and (
            _fell(self.dev_before, self.dev_after) or _fell(self.round_trip_before, self.round_trip_after)
        )


def reward_alarms(
    records: Sequence[StageRecord],
    generators: Mapping[str, Mapping[str, float]],
    rounds: Mapping[str, RoundPlan],
    updates: Mapping[str, UpdatePlan],
) -> list[RewardRow]:
    """One row for each update.

    Args:
        records: of all stages.
        generators: measures by generator, from ``evaluate_generators``.
        rounds: the pipeline's.
        updates: the pipeline's.
    """
    curves = {record.instance: record.series.get("reward", []) for record in records if record.stage == "improve_generator"}
    dev = {record.round: record.metrics.get("dev/ndcg_at_10") for record in records if record.stage == "evaluate_retriever"}

    def mean_dev(generator: str) -> float | None:
        values = [value for name, entry in rounds.items() if entry.generator == generator and (value := dev.get(name)) is not None]
        return sum(values) / len(values) if values else None

    rows = []
    for name, entry in updates.items():
        curve = [value for _, value in curves.get(name, [])]
        length = max(len(curve) // END_SHARE, 1)
        pair = entry.base, name
        round_trips = [generators.get(generator, {}).get("unseen_top_10") for generator in pair]
        rows.append(RewardRow(name, entry.base, _mean(curve[:length]), _mean(curve[-length:]), *map(mean_dev, pair), *round_trips))
    return rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _fell(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and after < before
