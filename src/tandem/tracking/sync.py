"""MLflow runs made from the records of stage executions.

A stage writes its record when it ends (`tandem.tracking.record`) and never waits for MLflow. `sync` makes the runs: it may run at any
time, any number of times, on any clone, and the store can be deleted and made again. What a sync with nothing to do does not need
(mlflow, the registry and its numpy) is imported where it is used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.tracking.client import Client, delete_half_runs, experiment_id, list_runs, locked, open_client
from tandem.tracking.record import Execution, read_executions
from tandem.tracking.round_runs import VIEW, create_pipeline_run, create_round_runs, save_view, view_of
from tandem.tracking.stage_runs import ModelIndex, create_stage_run
from tandem.tracking.store import has_all, read_rounds

__all__ = ["list_champions", "move_champion", "project_root", "rounds_address", "sync", "tracking_uri"]

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

    Three experiments: ``tandem-stages`` holds each execution once, with its datasets, models and curves; ``tandem-rounds`` one run for
    each round; ``tandem`` one run for each state of the pipeline. Of the last two, metrics have step = round. Executions of a workspace
    that are no longer its current ones are tagged ``state = superseded``. Where nothing is new, mlflow is not even imported.

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
    current = read_executions(records)
    ids = {item["record_id"] for item in current}
    past = _past_executions(records, current) if history else []
    loop = experiment == STAGES
    if not past and has_all(tracking_uri(), [*ids, view_of(current)] if loop else [*ids]):
        return {"created": 0, "present": len(ids)}
    root = project_root()
    with locked(root / ".mlflow.lock"):
        client = open_client(tracking_uri())
        experiments = _open_experiments(client, (PIPELINE, ROUNDS, STAGES) if loop else (experiment,), root)
        models = ModelIndex(client, experiments[experiment], ids)
        created = _create_missing(client, experiments[experiment], [*current, *past], ids, models)
        if loop and champions and "DVC_EXP_NAME" not in os.environ:
            _register(client, root, champions, experiments[experiment], say)
        if loop and current:
            plan = read_rounds(Path("params.yaml"))
            create_round_runs(client, experiments[ROUNDS], current, plan, models)
            save_view(client, experiments[ROUNDS])
            create_pipeline_run(client, experiments[PIPELINE], current, plan, report)  # last: a sync with nothing to do looks for it
    return {"created": created, "present": len(ids) + len(past) - created}


def rounds_address() -> str:
    """Where MLflow shows the rounds side by side, with the columns of the saved view."""
    client = open_client(tracking_uri())
    uri = tracking_uri()
    server = uri if uri.startswith("http") else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{experiment_id(client, ROUNDS, None)}/runs?viewStateShareKey={VIEW}"


def list_champions() -> list[tuple[str, str, str, str]]:
    """Registered versions: role, version, what it is, and ``champion`` where the alias stands."""
    from tandem.tracking import registry

    return registry.versions(open_client(tracking_uri()))


def move_champion(role: str, version: str) -> None:
    """Put a role's alias on a version, by hand."""
    from tandem.tracking import registry

    registry.move(open_client(tracking_uri()), role, version)


def _past_executions(records: Path, current: Sequence[Execution]) -> list[Execution]:
    """Records that are no longer in the workspace, of the pipelines that have one there."""
    ids, pipelines = {item["record_id"] for item in current}, {_pipeline(item) for item in current}
    return [item for item in _remembered(records) if item["record_id"] not in ids and _pipeline(item) in pipelines]


def _remembered(records: Path) -> list[Execution]:
    """Records of executions that are no longer in the workspace: from DVC's run cache and from every commit that git reaches."""
    from tandem.tracking.history import remembered_by_dvc, remembered_by_git

    contents: Iterator[Execution] = (json.loads(text) for text in (*remembered_by_dvc(records), *remembered_by_git(records)))
    return list({item["record_id"]: item for item in contents if isinstance(item, dict) and "record_id" in item}.values())


def _pipeline(item: Execution) -> str:
    """The dvc.yaml that an execution belongs to, empty for the project's: all of them write to ``out/records/``."""
    return item["tags"].get("dvc.stage", "").rpartition(":")[0]


def _open_experiments(client: Client, names: Sequence[str], root: Path) -> dict[str, str]:
    """Ids of experiments, by name; what a killed sync left in them is gone."""
    local = tracking_uri().startswith("sqlite")
    experiments = {name: experiment_id(client, name, root / "mlartifacts" if local else None) for name in names}
    for identifier in experiments.values():
        delete_half_runs(client, identifier, shared=not local)
    return experiments


def _create_missing(client: Client, experiment: str, executions: Sequence[Execution], current: set[str], models: ModelIndex) -> int:
    """Make the runs that are not there, in the order in which the executions ended; say of each whether it is current."""
    known = {run.data.tags.get("record_id", ""): run for run in list_runs(client, experiment)}
    missing = sorted((item for item in executions if item["record_id"] not in known), key=lambda item: item["ended"])
    for item in missing:
        state = "current" if item["record_id"] in current or item["tags"].get("dvc.exp") else "superseded"
        create_stage_run(client, experiment, item, state, models)
    if "DVC_EXP_NAME" not in os.environ:
        for record_id, run in known.items():
            state = "current" if record_id in current else "superseded"
            if record_id and not run.data.tags.get("dvc.exp") and run.data.tags.get("state") != state:
                client.set_tag(run.info.run_id, "state", state)
    return len(missing)


def _register(client: Client, root: Path, champions: Mapping[str, Any], experiment: str, say: Say) -> None:
    """Register models; a server that refuses them, as one may that cannot see this machine's folders, keeps its runs all the same."""
    from mlflow.exceptions import MlflowException

    from tandem.tracking import registry

    runs = client.search_runs([experiment], "tags.state = 'current'", max_results=1000)
    by_stage = {run.data.tags["dvc.stage"]: run.info.run_id for run in runs if "dvc.stage" in run.data.tags}
    try:
        for sentence in registry.register(client, root, champions, by_stage):
            say(sentence)
    except MlflowException as error:
        say(f"warning: models were not registered: {str(error).splitlines()[0]}; the runs are there")
