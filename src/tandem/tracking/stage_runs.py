"""A record as an MLflow run: its source, the datasets and models that it read, the models that it made, and what was measured on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.tracking.client import Client, RunContent, create_run, list_models, log_metrics
from tandem.tracking.models import model_name
from tandem.tracking.record import Execution

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

__all__ = ["ModelIndex", "create_stage_run", "datasets_of"]

EVALUATIONS = "evaluate_"  # stages that measure the models that they read
TEST = "test"  # the dataset that a metric without another's name in front was measured on
CONTEXT = "mlflow.data.context"


@dataclass(frozen=True)
class _Known:
    model_id: str
    ended: float
    """when the execution that made it ended, in seconds since 1970"""


class ModelIndex:
    """Logged models by the folder that each was written to, to find the one that an execution read."""

    def __init__(self, client: Client, experiment: str, current: set[str]) -> None:
        self._current = current
        self._models: dict[str, list[tuple[str, _Known]]] = {}
        for model in list_models(client, experiment):
            if "path" in model.tags:
                self.add(model.tags["path"], model.tags["record_id"], model.model_id, float(model.tags["ended"]))

    def add(self, path: str, record_id: str, model_id: str, ended: float) -> None:
        """Keep a model that an execution made."""
        self._models.setdefault(path, []).append((record_id, _Known(model_id, ended)))

    def made_by(self, record_id: str) -> list[str]:
        """Ids of the models that an execution made."""
        return [known.model_id for models in self._models.values() for maker, known in models if maker == record_id]

    def find(self, path: str, reader: Execution) -> str | None:
        """The model that a folder held when an execution read it: the last one made before; of a workspace's, one of the workspace's."""
        made = [
            (record_id in self._current, known.ended, known.model_id)
            for record_id, known in self._models.get(path, [])
            if known.ended <= reader["started"]
        ]
        same = [item for item in made if item[0] == (reader["record_id"] in self._current)]
        return max(same or made)[2] if made else None


def create_stage_run(client: Client, experiment: str, item: Execution, state: str, models: ModelIndex) -> None:
    """Make the run of an execution.

    Args:
        client: of the store.
        experiment: its id.
        item: the record.
        state: current or superseded.
        models: those that are there; the ones that this execution made are added.
    """
    from mlflow.entities import LoggedModelInput, LoggedModelOutput

    started, ended = int(item["started"] * 1000), int(item["ended"] * 1000)
    instance = item.get("update") or item["round"]
    name = f"{item['stage']}@{instance}" if instance else item["tags"].get("dvc.stage", item["stage"]).rpartition(":")[2]
    with create_run(client, experiment, RunContent(name, started, ended, _tags(item, state), item["params"])) as run_id:
        written = [_create_model(client, experiment, run_id, path, item, models) for path in item.get("models_written", [])]
        read = {path: model_id for path in item.get("models_read", {}) if (model_id := models.find(path, item))}
        metrics = list(_metrics(item, ended, _model_of_metric(item, read, written)))
        used = {metric.model_id for metric in metrics}
        inputs = [LoggedModelInput(model_id) for path, model_id in read.items() if not item["models_read"][path] or model_id in used]
        datasets = datasets_of(item)
        if datasets or inputs:
            client.log_inputs(run_id, datasets=datasets, models=inputs)
        if written:
            client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0) for model_id in written])
        log_metrics(client, run_id, metrics)


def _tags(item: Execution, state: str) -> dict[str, str]:
    """Tags to search for, and those that fill MLflow's columns Source and Version."""
    return {
        **item["tags"],
        "mlflow.source.name": item.get("source") or f"stages/{item['stage']}.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": item["tags"].get("git.sha", ""),
        "record_id": item["record_id"],
        "stage": item["stage"],
        "round": item["round"],
        "update": item.get("update", ""),
        "state": state,
    }


def _create_model(client: Client, experiment: str, run_id: str, path: str, item: Execution, models: ModelIndex) -> str:
    """The logged model of a folder that an execution wrote; its weights stay where they are."""
    tags = {"path": path, "record_id": item["record_id"], "ended": repr(item["ended"]), "round": item["round"], **item["tags"]}
    params = {key: value[:500] for key, value in item["params"].items()}
    model = client.create_logged_model(experiment, model_name(Path(path)), run_id, tags, params, model_type=item["stage"])
    client.finalize_logged_model(model.model_id, "READY")
    models.add(path, item["record_id"], model.model_id, item["ended"])
    return str(model.model_id)


def datasets_of(item: Execution) -> list[DatasetInput]:
    """What an execution read, as MLflow's datasets; of an older record the files, without counts."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if "datasets" not in item:
        return [DatasetInput(Dataset(path, digest, "local", json.dumps({"uri": path}))) for path, digest in item.get("inputs", {}).items()]
    return [
        DatasetInput(
            Dataset(use["name"], use["digest"], "local", json.dumps({"uri": use["path"]}), profile=json.dumps(use["counts"])),
            [InputTag(CONTEXT, use["role"])],
        )
        for use in sorted(item["datasets"], key=lambda use: use["role"] == "corpus")  # MLflow's column has room for the first
    ]


def _model_of_metric(item: Execution, read: Mapping[str, str], written: Sequence[str]) -> Callable[[str], str | None]:
    """The model that a metric is about, by the metric's name: of a stage that trains its model, of one that evaluates what was measured.

    Args:
        item: the record.
        read: ids of the models that it read, by path.
        written: ids of those that it made.
    """
    called = item.get("models_read", {})
    named = {called[path] or Path(path).name: model_id for path, model_id in read.items()}
    whole = [model_id for path, model_id in read.items() if not called[path]]
    datasets = {use["role"] for use in item.get("datasets", [])}

    def find(metric: str) -> str | None:
        prefix, slash, _ = metric.partition("/")
        if written:
            return written[0] if len(written) == 1 and not slash else None
        if not item["stage"].startswith(EVALUATIONS):
            return None
        if slash and prefix not in datasets:
            return named.get(prefix)
        return whole[0] if len(whole) == 1 else None

    return find


def _metrics(item: Execution, ended: int, model_of: Callable[[str], str | None]) -> Iterator[Metric]:
    """Metrics and curves; what was measured on a model names it, and the dataset."""
    from mlflow.entities import Metric

    datasets = {use["role"]: use for use in item.get("datasets", [])}
    for key, value in item["metrics"].items():
        if value is None:
            continue
        model_id = model_of(key)
        role = key.partition("/")[0] if "/" in key else TEST
        measured = datasets.get(role, datasets.get(TEST)) if model_id else None
        name, digest = (measured["name"], measured["digest"]) if measured else (None, None)
        yield Metric(key, value, ended, 0, model_id=model_id, dataset_name=name, dataset_digest=digest)
    for key, series in item["series"].items():
        yield from (Metric(key, value, ended, step) for step, value in series if value is not None)
