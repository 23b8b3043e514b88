"""MLflow runs made from the records of stage executions.

A stage writes its record when it ends (`tandem.tracking.record`) and never waits for MLflow. `sync` makes the runs: it may run at any
time, any number of times, on any clone, and the store can be deleted and made again. This is the one module that imports mlflow. What a
sync with nothing to do does not need (mlflow, the registry and its numpy) is imported where it is used.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tandem.tracking.store import has_all, order_rounds

__all__ = ["list_champions", "move_champion", "project_root", "sync", "tracking_uri"]

Say = Callable[[str], object]
PIPELINE, ROUNDS, STAGES = "tandem", "tandem-rounds", "tandem-stages"


def project_root() -> Path:
    """The repository that runs belong to: DVC_ROOT where a stage was started by DVC, else the nearest folder with .dvc."""
    if os.environ.get("DVC_ROOT"):
        return Path(os.environ["DVC_ROOT"])
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else a SQLite file at the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_root() / 'mlflow.db'}"


def _silence(_: str) -> None:
    """Nothing is said where nobody asked."""


def sync(
    records: Path,
    *,
    experiment: str = STAGES,
    report: Path | None = None,
    champions: Mapping[str, Any] | None = None,
    say: Say = _silence,
    history: bool = False,
) -> dict[str, int]:
    """Make the MLflow runs of all records that have none yet, and the runs that show rounds side by side.

    Three experiments: ``tandem-stages`` holds each execution once, with its curves; ``tandem-rounds`` one run for each round;
    ``tandem`` one run for each state of the pipeline, whose metrics have step = round. Executions of a
    workspace that are no longer its current ones are tagged ``state = superseded``. Where nothing is new, mlflow is not even imported.

    Args:
        records: the folder of record files.
        experiment: another name keeps the executions of another pipeline by themselves, without rounds.
        report: a page to keep with the run of the pipeline.
        champions: by role, see :func:`tandem.tracking.registry.register`: models to register, and the aliases to move.
        say: told what became of each role's alias.
        history: executions that DVC's cache or git remembers too: superseded ones, those of experiments and of other branches.

    Returns:
        ``created`` and ``present``: stage executions that were missing, and that were there.
    """
    found = [json.loads(path.read_text(encoding="utf8")) for path in sorted(records.rglob("*.json"))]
    ids = [item["record_id"] for item in found]
    view = hashlib.sha256(" ".join(sorted(ids)).encode()).hexdigest()[:16]
    loop = experiment == STAGES
    pipelines = {_pipeline(item) for item in found}
    past = [item for item in _remembered(records) if item["record_id"] not in ids and _pipeline(item) in pipelines] if history else []
    if not past and has_all(tracking_uri(), [*ids, view] if loop else ids):
        return {"created": 0, "present": len(ids)}
    root = project_root()
    with _locked(root / ".mlflow.lock"):
        client = _mlflow().MlflowClient(tracking_uri())
        names = (PIPELINE, ROUNDS, STAGES) if loop else (experiment,)
        experiments = {name: _experiment(client, name, root) for name in names}
        for name in names:
            _reap(client, experiments[name])
        known = {run.data.tags.get("record_id", ""): run for run in _runs(client, experiments[experiment])}
        missing = [item for item in [*found, *past] if item["record_id"] not in known]
        for item in missing:
            state = "current" if item["record_id"] in ids or item["tags"].get("dvc.exp") else "superseded"
            _create_stage_run(client, experiments[experiment], item, state)
        if "DVC_EXP_NAME" not in os.environ:
            _mark_state(client, known, set(ids))
        if loop and champions and "DVC_EXP_NAME" not in os.environ:
            _register(client, root, champions, _run_ids(client, experiments[experiment]), say)
        if loop:
            _create_round_runs(client, experiments, found, view, report)
    return {"created": len(missing), "present": len(ids) + len(past) - len(missing)}


def _remembered(records: Path) -> list[dict[str, Any]]:
    """Records of executions that are no longer in the workspace: from DVC's run cache and from every commit that git reaches."""
    from tandem.tracking.history import remembered_by_dvc, remembered_by_git

    texts = [*remembered_by_dvc(records), *remembered_by_git(records)]
    found = (json.loads(text) for text in texts)
    return list({item["record_id"]: item for item in found if isinstance(item, dict) and "record_id" in item}.values())


def _pipeline(item: Mapping[str, Any]) -> str:
    """The dvc.yaml that an execution belongs to, empty for the project's own: all of them write to ``out/records/``."""
    return str(item["tags"].get("dvc.stage", "")).rpartition(":")[0]


def _register(client: Any, root: Path, champions: Mapping[str, Any], run_ids: Mapping[str, str], say: Say) -> None:
    """Register models; a server that refuses them, as one may that cannot see this machine's folders, keeps its runs all the same."""
    from mlflow.exceptions import MlflowException

    from tandem.tracking import registry

    try:
        for sentence in registry.register(client, root, champions, run_ids):
            say(sentence)
    except MlflowException as error:
        say(f"warning: models were not registered: {str(error).splitlines()[0]}; the runs are there")


def list_champions() -> list[tuple[str, str, str, str]]:
    """Registered versions: role, version, what it is, and ``champion`` where the alias stands."""
    from tandem.tracking import registry

    return registry.versions(_mlflow().MlflowClient(tracking_uri()))


def move_champion(role: str, version: str) -> None:
    """Put a role's alias on a version, by hand."""
    from tandem.tracking import registry

    registry.move(_mlflow().MlflowClient(tracking_uri()), role, version)


def _create_stage_run(client: Any, experiment: str, item: Mapping[str, Any], state: str) -> None:
    name = "@".join(part for part in (item["stage"], item["round"]) if part)
    tags = {
        **item["tags"],
        "record_id": item["record_id"],
        "stage": item["stage"],
        "round": item["round"],
        "state": state,
        "artifacts": ", ".join(item["artifacts"]),
    }
    ended = int(item["ended"] * 1000)
    points = [(key, value, 0) for key, value in item["metrics"].items() if value is not None]
    points += [(key, value, step) for key, series in item["series"].items() for step, value in series if value is not None]
    inputs = item.get("inputs", {})
    _create_run(client, experiment, name, tags, item["params"], points, int(item["started"] * 1000), ended, inputs=inputs)


def _create_round_runs(client: Any, experiments: Mapping[str, str], found: Sequence[Any], view: str, report: Path | None) -> None:
    rounds = order_rounds({item["round"] for item in found if item["round"]}, project_root())
    tags = {"view": view, "state": "current", **(found[-1]["tags"] if found else {})}
    now = int(time.time() * 1000)
    pipeline: list[tuple[str, float, int]] = []
    for number, round_id in enumerate(rounds):
        own = [item for item in found if item["round"] == round_id]
        round_view = hashlib.sha256(" ".join(sorted(item["record_id"] for item in own)).encode()).hexdigest()[:16]
        metrics = {key: value for item in own for key, value in _round_metrics(item).items()}
        pipeline += [(key, value, number) for key, value in metrics.items()]
        params = {f"{item['stage']}.{key}": value for item in own for key, value in item["params"].items()}
        points = [(key, value, number) for key, value in metrics.items()]
        start, end = min(item["started"] for item in own), max(item["ended"] for item in own)
        if not _exists(client, experiments[ROUNDS], round_view):
            _retire(client, experiments[ROUNDS], f"round = '{round_id}'")
            own_tags = {**tags, "view": round_view, "round": round_id}
            _create_run(
                client,
                experiments[ROUNDS],
                f"round {round_id}",
                own_tags,
                params,
                points,
                int(start * 1000),
                int(end * 1000),
            )
    if pipeline and not _exists(client, experiments[PIPELINE], view):
        _retire(client, experiments[PIPELINE], "state = 'current'")
        params = {f"{item['stage']}.{key}": value for item in found for key, value in item["params"].items()}
        start = int(min(item["started"] for item in found) * 1000)
        _create_run(client, experiments[PIPELINE], f"pipeline {view[:6]}", tags, params, pipeline, start, now, artifact=report)


def _round_metrics(item: Mapping[str, Any]) -> dict[str, float]:
    """A stage's metrics under its own heading: a slash makes the MLflow page group them; those that are null stay out."""
    finite = {key: value for key, value in item["metrics"].items() if value is not None}
    if item["stage"] == "evaluate_retriever":
        own = {key: value for key, value in finite.items() if not key.startswith("system/")}
        return {key if "/" in key else f"test/{key}": value for key, value in own.items()}
    return {f"{item['stage']}/{key}": value for key, value in finite.items() if not key.startswith("system/")}


def _create_run(
    client: Any,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    points: Sequence[tuple[str, float, int]],
    start: int,
    end: int,
    *,
    inputs: Mapping[str, str] | None = None,
    artifact: Path | None = None,
) -> None:
    """A run with all that it has; it is RUNNING until it has it all, so that a run left so is half a run and can be told."""
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

    run = client.create_run(experiment, start_time=start, run_name=name)
    run_id = run.info.run_id
    parameters = [Param(key, value[:500]) for key, value in params.items()]
    metrics = [Metric(key, value, end, step) for key, value, step in points]
    tags = {**tags, "sync.started": str(int(time.time()))}
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items() if value])
    for first in range(0, len(parameters), 100):
        client.log_batch(run_id, params=parameters[first : first + 100])
    for first in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[first : first + 1000])
    if inputs:
        sets = [Dataset(path, digest, "local", json.dumps({"uri": path})) for path, digest in inputs.items()]
        client.log_inputs(run_id, datasets=[DatasetInput(dataset) for dataset in sets])
    if artifact and artifact.is_file():
        client.log_artifact(run_id, str(artifact))
    client.set_terminated(run_id, status="FINISHED", end_time=end)


def _reap(client: Any, experiment: str) -> None:
    """Delete half runs, which a killed sync left RUNNING; a store that others write to gives them ten minutes."""
    patience = 0 if tracking_uri().startswith("sqlite") else 600
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=1000):
        if "sync.started" in run.data.tags and time.time() - int(run.data.tags["sync.started"]) >= patience:
            client.delete_run(run.info.run_id)


def _run_ids(client: Any, experiment: str) -> dict[str, str]:
    """The current run of each stage by DVC's name for it."""
    runs = client.search_runs([experiment], "tags.state = 'current'", max_results=1000)
    return {run.data.tags["dvc.stage"]: run.info.run_id for run in runs if "dvc.stage" in run.data.tags}


def _mark_state(client: Any, known: Mapping[str, Any], current: set[str]) -> None:
    for record_id, run in known.items():
        state = "current" if record_id in current else "superseded"
        if record_id and not run.data.tags.get("dvc.exp") and run.data.tags.get("state") != state:
            client.set_tag(run.info.run_id, "state", state)


def _retire(client: Any, experiment: str, condition: str) -> None:
    for run in client.search_runs([experiment], f"tags.{condition}", max_results=1000):
        client.set_tag(run.info.run_id, "state", "superseded")


def _exists(client: Any, experiment: str, view: str) -> bool:
    runs = client.search_runs([experiment], f"tags.view = '{view}'", max_results=1)
    for run in runs:
        client.set_tag(run.info.run_id, "state", "current")
    return bool(runs)


def _runs(client: Any, experiment: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _experiment(client: Any, name: str, root: Path) -> str:
    existing = client.get_experiment_by_name(name)
    if existing:
        return str(existing.experiment_id)
    local = tracking_uri().startswith("sqlite")
    return str(client.create_experiment(name, artifact_location=str(root / "mlartifacts") if local else None))


def _mlflow() -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    return mlflow


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time: MLflow's first use of a database migrates it, and two at once break it."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
