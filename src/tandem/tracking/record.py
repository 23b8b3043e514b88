"""What ran: a record of each execution of a stage, which DVC keeps and `tandem.tracking.sync` shows in MLflow."""

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from pydantic import BaseModel

from tandem.runtime.scratch import file_identity
from tandem.tracking.datasets import DatasetUse, describe_dataset
from tandem.tracking.models import find_models

__all__ = ["Execution", "Run", "read_executions", "record"]

MAXIMUM_POINTS = 200
FORBIDDEN = re.compile(r"[^\w\-. :/]")


class Execution(TypedDict):
    """The content of a record."""

    record_id: str
    stage: str
    round: str
    started: float
    ended: float
    params: dict[str, str]
    metrics: dict[str, float | None]
    series: dict[str, list[tuple[int, float | None]]]
    tags: dict[str, str]
    inputs: NotRequired[dict[str, str]]
    """digests of the files that were read, by path; this and what follows is missing in older records"""
    update: NotRequired[str]
    source: NotRequired[str]
    """the file that was run, from the project's root"""
    datasets: NotRequired[list[dict[str, Any]]]
    """fields of :class:`tandem.tracking.datasets.DatasetUse`"""
    models_read: NotRequired[dict[str, str]]
    """paths of model folders, each with what it is called in names of metrics; empty where the metrics are all about it"""
    models_written: NotRequired[list[str]]


@dataclass
class Run:
    """One execution of a stage, filled while it runs."""

    metrics: dict[str, float | None] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float | None]]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    datasets: list[DatasetUse] = field(default_factory=list)
    models_read: dict[str, str] = field(default_factory=dict)
    models_written: list[str] = field(default_factory=list)

    def log(self, values: Mapping[str, float]) -> None:
        """Keep metrics by name; a sign that MLflow has no room for in a name becomes an underscore, what is not finite None."""
        self.metrics.update({FORBIDDEN.sub("_", name): _finite(name, value) for name, value in values.items()})

    def log_series(self, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Keep a curve of (step, value), thinned evenly to 200 points, its ends among them."""
        if len(points) > MAXIMUM_POINTS:
            last = len(points) - 1
            points = [points[round(i * last / (MAXIMUM_POINTS - 1))] for i in range(MAXIMUM_POINTS)]
        self.series[name] = [(int(step), _finite(name, value)) for step, value in points]

    def log_input(self, role: str, path: Path) -> None:
        """Keep what was read: a file's digest, a dataset with its counts, a model.

        Args:
            role: what the path is to the stage, such as ``train`` or ``dev``.
            path: of a file or folder.
        """
        if path.is_file():  # of folders, DVC has digests
            self.inputs[str(path)] = file_identity(path)
        if dataset := describe_dataset(path, role):
            self.datasets.append(dataset)
        self.models_read |= {str(folder): name for folder, name in find_models(path).items()}

    def log_models(self, paths: Iterable[Path]) -> None:
        """Keep which of the paths that were written are models."""
        self.models_written += [str(path) for path in paths if path in find_models(path)]


@contextmanager
def record(
    stage: str, params: BaseModel | Mapping[str, Any], path: Path, *, round_id: str = "", update: str = "", source: str = ""
) -> Iterator[Run]:
    """Record one execution of a stage: its parameters, metrics, curves, times and peak memory, written when it ends well.

    Args:
        stage: the stage's name.
        params: its settings.
        path: of the record, an output of the stage that DVC keeps.
        round_id: of the round it belongs to, if any.
        update: the generator that it helps to make, if any.
        source: the file that is run, from the project's root.
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
        "update": update,
        "source": source,
        "started": started,
        "ended": time.time(),
        "params": _flat(params if isinstance(params, Mapping) else params.model_dump(mode="json")),
        "tags": _tags(),
        **asdict(run),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf8")
    draft.replace(path)


def read_executions(folder: Path) -> list[Execution]:
    """All records below a folder, in the order of their paths."""
    return [json.loads(path.read_text(encoding="utf8")) for path in sorted(folder.rglob("*.json"))]


def _finite(name: str, value: float) -> float | None:
    """A number as JSON and MLflow have room for it; what is not finite is null, with a warning."""
    if math.isfinite(value):
        return float(value)
    warnings.warn(f"{name} is {value}: written as null", stacklevel=3)
    return None


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
