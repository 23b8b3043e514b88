"""Records of stages as tests of the report make them."""

from __future__ import annotations

from tandem.reporting.stage_records import StageRecord
from tandem.runtime.rounds import RoundPlan, UpdatePlan

ROUNDS = {"r1": RoundPlan(prev="r0", generator="g1"), "r2": RoundPlan(prev="r1", generator="g2")}
UPDATES = {"g2": UpdatePlan(base="g1", round="r1")}


def record(
    stage: str,
    round_id: str = "",
    *,
    seconds: float = 60.0,
    instance: str = "",
    series: dict[str, list[tuple[int, float]]] | None = None,
    **metrics: float,
) -> StageRecord:
    system = {"system/seconds": seconds, "system/cpu_seconds": seconds, "system/peak_memory_mb": 100.0}
    return StageRecord(stage, round_id, instance, {**system, **metrics}, series or {})
