"""Records of executions: all of one, nothing of one that failed, and at no cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tandem.tracking.record import record

Execute = Callable[[str, str, float, Path], Path]


def test_a_record_holds_all_of_an_execution(project: Path, execute: Execute) -> None:
    content = json.loads(execute("evaluate_retriever", "r1", 0.5, project).read_text())
    assert content["params"] == {"steps": "3", "nested.rate": "0.5"}
    assert content["metrics"]["ndcg_at_10"] == 0.5
    assert {"system/seconds", "system/cpu_seconds", "system/peak_memory_mb"} <= set(content["metrics"])
    assert len(content["series"]["loss"]) == 200
    assert content["series"]["loss"][0] == [0, 1.0]
    assert content["series"]["loss"][-1] == [499, 1 / 500]
    assert content["ended"] >= content["started"]


def test_a_failed_stage_leaves_no_record(project: Path) -> None:
    with pytest.raises(ValueError, match="boom"), record("s", {}, project / "out/records/s.json"):
        raise ValueError("boom")
    assert not (project / "out/records").exists()


def test_overhead_of_recording(project: Path, execute: Execute) -> None:
    """A record costs milliseconds: under 3 % of a stage of one second."""
    import time

    start = time.perf_counter()
    for _ in range(5):
        execute("s", "r1", 0.5, project)
    assert (time.perf_counter() - start) / 5 < 0.03
