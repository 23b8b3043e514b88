"""The MLflow store of a project: where it is, its client, its experiments, runs made whole, one process at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient as Client
    from mlflow.entities import LoggedModel, Metric, Run
    from mlflow.entities.model_registry import ModelVersion

__all__ = [
    "Client",
    "ModelVersion",
    "RunContent",
    "create_run",
    "delete_half_runs",
    "experiment_id",
    "list_models",
    "list_runs",
    "locked",
    "log_metrics",
    "open_client",
]

PATIENCE = 600  # seconds that a store which others write to gives a run to be finished

if not TYPE_CHECKING:
    Client = ModelVersion = object  # mlflow is imported where it is needed: it takes longer than a sync with nothing to do


@dataclass(frozen=True)
class RunContent:
    """What a run is made of, but for what MLflow links to other things."""

    name: str
    started: int
    """milliseconds since 1970, as all times of MLflow"""
    ended: int
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)


def open_client(uri: str) -> Client:
    """The client of a store; mlflow is imported here."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    return mlflow.MlflowClient(uri)


def experiment_id(client: Client, name: str, artifacts: Path | None) -> str:
    """The id of an experiment, made where there is none.

    Args:
        client: of the store.
        name: of the experiment.
        artifacts: folder of files that runs keep; None leaves it to the store.
    """
    existing = client.get_experiment_by_name(name)
    if existing:
        return str(existing.experiment_id)
    return str(client.create_experiment(name, artifact_location=str(artifacts) if artifacts else None))


@contextmanager
def create_run(client: Client, experiment: str, content: RunContent) -> Iterator[str]:
    """Make a run with its tags and params; the block adds what else it has, by the id that it is given.

    It is RUNNING until the block ends, so that a run left by a killed process is half a run and can be told.
    """
    from mlflow.entities import Param, RunTag

    run_id = client.create_run(experiment, start_time=content.started, run_name=content.name).info.run_id
    tags = {**content.tags, "sync.started": str(int(time.time()))}
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items() if value])
    params = [Param(key, value[:500]) for key, value in content.params.items()]
    for start in range(0, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100])
    yield run_id
    client.set_terminated(run_id, status="FINISHED", end_time=content.ended)


def log_metrics(client: Client, run_id: str, metrics: Sequence[Metric]) -> None:
    """Add metrics to a run, as many at a time as MLflow takes."""
    for start in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


def delete_half_runs(client: Client, experiment: str, *, shared: bool) -> None:
    """Delete the runs that a killed sync left RUNNING, and their models; a store that others write to gives them ten minutes."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=1000):
        if "sync.started" in run.data.tags and time.time() - int(run.data.tags["sync.started"]) >= (PATIENCE if shared else 0):
            for model in list_models(client, experiment, f"source_run_id = '{run.info.run_id}'"):
                client.delete_logged_model(model.model_id)
            client.delete_run(run.info.run_id)


def list_runs(client: Client, experiment: str, condition: str = "") -> Iterator[Run]:
    """All runs of an experiment that a search string finds."""
    token = None
    while True:
        page = client.search_runs([experiment], condition, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def list_models(client: Client, experiment: str, condition: str | None = None) -> Iterator[LoggedModel]:
    """All logged models of an experiment that a search string finds."""
    token = None
    while True:
        page = client.search_logged_models([experiment], condition, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time: MLflow's first use of a database migrates it, and two at once break it."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
