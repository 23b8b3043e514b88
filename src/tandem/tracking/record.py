"""What ran: a record of each execution of a stage, which git keeps and `tandem.tracking.sync` shows in MLflow."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Run", "record"]

MAXIMUM_POINTS = 200
FORBIDDEN = re.compile(r"[^\w\-. :/]")


@dataclass
class Run:
    """One execution of a stage, filled while it runs."""

    metrics: dict[str, float | None] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float | None]]] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)

    def log(self, values: Mapping[str, float]) -> None:
        """Keep metrics by name; a sign that MLflow has no room for in a name becomes an underscore, what is not finite None."""
        self.metrics.update({FORBIDDEN.sub("_", name): _finite(name, value) for name, value in values.items()})

    def log_series(self, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Keep a curve of (step, value), thinned evenly to 200 points, its ends among them."""
        if len(points) > MAXIMUM_POINTS:
            last = len(points) - 1
            points = [points[round(i * last / (MAXIMUM_POINTS - 1))] for i in range(MAXIMUM_POINTS)]
        self.series[name] = [(int(step), _finite(name, value)) for step, value in points]

    def log_artifact(self, path: Path) -> None:
        """Name a file or folder, relative to the project, that the run's page is to point at."""
        self.artifacts.append(str(path))

    def log_input(self, path: Path, digest: str) -> None:
        """Name a file that was read, with what tells its content from another's."""
        self.inputs[str(path)] = digest


def _finite(name: str, value: float) -> float | None:
    """A number as JSON and MLflow have room for it; what is not finite is null, and said."""
    if math.isfinite(value):
        return float(value)
    warnings.warn(f"{name} is {value}: written as null", stacklevel=3)
    return None


@contextmanager
def record(stage: str, params: Any, path: Path, *, round_id: str = "") -> Iterator[Run]:
    """Record one execution of a stage: its parameters, metrics, curves, times and peak memory, written when it ends well.

    Args:
        stage: the stage's name.
        params: its pydantic section, or a mapping.
        path: of the record, an output of the stage that git keeps.
        round_id: of the round it belongs to, if any.
    """
    run, started, clock = Run(), time.time(), time.process_time()
    yield run
    usage = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    run.metrics |= {
        "system/seconds": round(time.time() - started, 3),
        "system/cpu_seconds": round(time.process_time() - clock, 3),
        "system/peak_memory_mb": round(usage / 1024, 1),
    }
    content = {
        "record_id": uuid.uuid4().hex,
        "stage": stage,
        "round": round_id,
        "started": started,
        "ended": time.time(),
        "params": _flat(params if isinstance(params, Mapping) else params.model_dump(mode="json")),
        "metrics": run.metrics,
        "series": run.series,
        "artifacts": run.artifacts,
        "inputs": run.inputs,
        "tags": _tags(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf8")
    draft.replace(path)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def _tags() -> dict[str, str]:
    tags = {"python": sys.version.split()[0]}
    for variable, tag in (("DVC_STAGE", "dvc.stage"), ("DVC_EXP_NAME", "dvc.exp")):
        if os.environ.get(variable):
            tags[tag] = os.environ[variable]
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    if revision:
        tags["git.sha"] = revision
    return tags
