"""Rounds side by side in MLflow: a run of each round with the rounds before it, a run of the whole pipeline, and a saved view.

MLflow draws charts in the order of their names, by what stands before the slash: so names begin with a number where a person looks first.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.runtime.rounds import RoundPlan, trace_rounds
from tandem.tracking.client import Client, RunContent, create_run, log_metrics
from tandem.tracking.record import Execution
from tandem.tracking.stage_runs import ModelIndex, datasets_of
from tandem.tracking.store import order_rounds

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

__all__ = ["VIEW", "create_pipeline_run", "create_round_runs", "round_metrics", "save_view", "view_of"]

FORM = "2"  # of these runs: another one makes them anew
MEASURED = "evaluate_retriever"  # the stage whose measures and datasets a round is shown with
MEASURES = ("ndcg_at_10", "recall_at_100")
COLLECTIONS = {"": "1_test", "dev": "2_dev", "guard": "3_guard"}
"""what a round's retriever is measured on, by what stands before the slash in evaluate_retriever's metrics"""
COUNTS = {
    ("filter_queries", "generated"): "4_queries/generated",
    ("filter_queries", "kept"): "4_queries/kept",
    ("select_queries", "selected"): "4_queries/selected",
}
MINUTES = "5_cost/minutes"
VIEW = "rounds"
"""key of the saved view, in its address: ...#/experiments/ID/runs?viewStateShareKey=rounds"""
COLUMNS = (*(f"{place}/{measure}" for place in COLLECTIONS.values() for measure in MEASURES), "4_queries/kept", MINUTES)
CURRENT = "tags.state = 'current'"


def view_of(records: Sequence[Execution]) -> str:
    """What tells these executions from others; the tag ``view`` of the run that shows them."""
    ids = sorted(item["record_id"] for item in records)
    return hashlib.sha256(" ".join([FORM, *ids]).encode()).hexdigest()[:16]


def round_metrics(records: Sequence[Execution]) -> dict[str, float]:
    """What a round is compared by: its retriever's measures, how many queries it had, how long its stages took."""
    metrics: dict[str, float] = {}
    for item in records:
        for key, value in item["metrics"].items():
            prefix, _, measure = key.rpartition("/")
            if value is None:
                continue
            if item["stage"] == MEASURED and prefix in COLLECTIONS and measure in MEASURES:
                metrics[f"{COLLECTIONS[prefix]}/{measure}"] = value
            elif (item["stage"], key) in COUNTS:
                metrics[COUNTS[item["stage"], key]] = value
    return {**metrics, MINUTES: sum(item["metrics"].get("system/seconds") or 0.0 for item in records) / 60}


def create_round_runs(
    client: Client, experiment: str, records: Sequence[Execution], plan: Mapping[str, RoundPlan], models: ModelIndex
) -> None:
    """Make the run of each round that has none as it is now; its metrics have a step for each round that it builds on.

    Args:
        client: of the store.
        experiment: its id.
        records: of the workspace.
        plan: params.yaml's rounds.
        models: of the stages; a round's is what its run gave.
    """
    from mlflow.entities import LoggedModelOutput

    by_round = {name: [item for item in records if item["round"] == name] for name in {item["round"] for item in records} - {""}}
    for name in order_rounds(set(by_round), plan):
        chain = [before for before in trace_rounds(plan, name) if before in by_round]
        view = view_of([item for before in chain for item in by_round[before]])
        if not _is_there(client, experiment, view):
            _retire(client, experiment, f"tags.round = '{name}'")
            content = _content(f"round {name}", by_round[name], {"view": view, "round": name}, plan.get(name))
            points = [(step, round_metrics(by_round[before])) for step, before in enumerate(chain)]
            with create_run(client, experiment, content) as run_id:
                log_metrics(client, run_id, [metric for step, values in points for metric in _at_step(values, step, content.ended)])
                for item in by_round[name]:
                    if item["stage"] == "train_retriever":
                        client.log_outputs(run_id, [LoggedModelOutput(made, len(chain) - 1) for made in models.made_by(item["record_id"])])
                    if item["stage"] == MEASURED:
                        client.log_inputs(run_id, datasets=datasets_of(item))


def create_pipeline_run(
    client: Client, experiment: str, records: Sequence[Execution], plan: Mapping[str, RoundPlan], report: Path | None
) -> None:
    """Make the run of the pipeline as it is now; its metrics have a step for each round, in the plan's order.

    Args:
        client: of the store.
        experiment: its id.
        records: of the workspace.
        plan: params.yaml's rounds.
        report: a page to keep with it.
    """
    rounds = order_rounds({item["round"] for item in records if item["round"]}, plan)
    view = view_of(records)
    if not rounds or _is_there(client, experiment, view):
        return
    _retire(client, experiment, CURRENT)
    metrics: list[Metric] = []
    now = int(time.time() * 1000)
    for step, name in enumerate(rounds):
        own_stages = [item for item in records if item["round"] == name]
        metrics += [*_at_step(round_metrics(own_stages), step, now), *_at_step(_stage_metrics(own_stages), step, now)]
    content = _content(f"pipeline {view[:6]}", records, {"view": view})
    with create_run(client, experiment, content) as run_id:
        log_metrics(client, run_id, metrics)
        if report and report.is_file():
            client.log_artifact(run_id, str(report))


def save_view(client: Client, experiment: str) -> None:
    """Keep with an experiment which of its runs and columns a person wants to see; MLflow opens it by :data:`VIEW`."""
    columns = ["attributes.`Dataset`", *(f"metrics.`{name}`" for name in COLUMNS)]
    view = {"searchFilter": CURRENT, "orderByKey": "attributes.start_time", "orderByAsc": True, "selectedColumns": columns}
    client.set_experiment_tag(experiment, f"mlflow.sharedViewState.{VIEW}", json.dumps(view))


def _content(name: str, records: Sequence[Execution], tags: Mapping[str, str], plan: RoundPlan | None = None) -> RunContent:
    last = max(records, key=lambda item: item["ended"])
    params = {f"{item['stage']}.{key}": value for item in records for key, value in item["params"].items()}
    source = {
        "mlflow.source.name": "dvc.yaml",
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": last["tags"].get("git.sha", ""),
    }
    return RunContent(
        name=name,
        started=int(min(item["started"] for item in records) * 1000),
        ended=int(last["ended"] * 1000),
        tags={**last["tags"], **source, "state": "current", **tags},
        params={**({"prev": plan.prev, "generator": plan.generator} if plan else {}), **params},
    )


def _stage_metrics(records: Sequence[Execution]) -> dict[str, float]:
    """All metrics of a round's stages, behind those that it is compared by."""
    return {
        f"stages/{item['stage']}/{key}": value
        for item in records
        for key, value in item["metrics"].items()
        if value is not None and not key.startswith("system/")
    }


def _at_step(values: Mapping[str, float], step: int, time_ms: int) -> list[Metric]:
    from mlflow.entities import Metric

    return [Metric(key, value, time_ms, step) for key, value in values.items()]


def _retire(client: Client, experiment: str, condition: str) -> None:
    for run in client.search_runs([experiment], condition, max_results=1000):
        client.set_tag(run.info.run_id, "state", "superseded")


def _is_there(client: Client, experiment: str, view: str) -> bool:
    runs: list[Run] = client.search_runs([experiment], f"tags.view = '{view}'", max_results=1)
    for run in runs:
        client.set_tag(run.info.run_id, "state", "current")
    return bool(runs)
