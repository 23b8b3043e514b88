"""Records of stages as the report needs them: finite values alone, in the order of the rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

__all__ = ["StageRecord", "StageTime", "parse_record", "read_stage_records", "sort_records", "stage_times"]


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One execution of a stage.

    ``instance`` is DVC's name for it among others of the stage (``g2`` of ``improve_generator@g2``), or empty; ``series`` are curves of
    (step, value); ``not_finite`` names the values that are null in the file, and left out here.
    """

    stage: str
    round: str
    instance: str
    metrics: dict[str, float]
    series: dict[str, list[tuple[int, float]]]
    not_finite: tuple[str, ...] = ()


def parse_record(content: Mapping[str, Any]) -> StageRecord:
    """A record of a stage from the JSON that :mod:`tandem.tracking.record` writes."""
    stage, round_id = content["stage"], content["round"]
    place = "@".join(filter(None, (stage, round_id)))
    names = [key for key, value in content["metrics"].items() if value is None]
    names += [key for key, points in content["series"].items() if any(value is None for _, value in points)]
    return StageRecord(
        stage,
        round_id,
        _instance(str(content.get("tags", {}).get("dvc.stage", "")), stage),
        {key: value for key, value in content["metrics"].items() if value is not None},
        {key: [(step, value) for step, value in points if value is not None] for key, points in content["series"].items()},
        tuple(f"{place}: {name}" for name in names),
    )


def _instance(name: str, stage: str) -> str:
    """What stands behind ``@`` in DVC's name of an execution, or behind the stage's own name: ``final`` of ``train_reranker_final``."""
    behind = name.partition("@")[2]
    return behind or (name.removeprefix(f"{stage}_") if name.startswith(f"{stage}_") else "")


def sort_records(records: Sequence[StageRecord], rounds: Sequence[str]) -> list[StageRecord]:
    """Records by round, in the order of ``rounds``, then by stage; those of other rounds come last."""
    places = {name: place for place, name in enumerate(rounds)}
    return sorted(records, key=lambda record: (places.get(record.round, len(places)), record.stage, record.instance))


def read_stage_records(folder: Path, rounds: Sequence[str]) -> list[StageRecord]:
    """All records below a folder, sorted; those of no round come first."""
    return sort_records([parse_record(orjson.loads(path.read_bytes())) for path in folder.rglob("*.json")], ["", *rounds])


@dataclass(frozen=True, slots=True)
class StageTime:
    """What one execution of a stage took."""

    stage: str
    seconds: float
    cpu_seconds: float
    memory_mb: float


def stage_times(records: Sequence[StageRecord]) -> list[StageTime]:
    """Wall time, processor time and peak memory of each execution, longest first."""
    times = [
        StageTime(
            "@".join(filter(None, (record.stage, record.instance or record.round))),
            record.metrics["system/seconds"],
            record.metrics["system/cpu_seconds"],
            record.metrics["system/peak_memory_mb"],
        )
        for record in records
    ]
    return sorted(times, key=lambda time: -time.seconds)
