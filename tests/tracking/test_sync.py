"""MLflow runs of records: once each, rebuilt from nothing, superseded and back, never fatal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tandem.tracking import sync as tracking

Execute = Callable[[str, str, float, Path], Path]


def stage_runs() -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking.tracking_uri())
    experiment = client.get_experiment_by_name(tracking.STAGES)
    return list(client.search_runs([experiment.experiment_id]))


def test_sync_is_idempotent_and_rebuilds_an_equal_store(project: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    for round_id, value in (("r0", 0.5), ("r1", 0.6)):
        execute("evaluate_retriever", round_id, value, project)
    assert tracking.sync(project / "out/records") == {"created": 2, "present": 0}
    assert tracking.sync(project / "out/records") == {"created": 0, "present": 2}

    def contents() -> Any:
        runs = stage_runs()
        assert {run.info.status for run in runs} == {"FINISHED"}
        return sorted((r.data.tags["record_id"], r.data.params, r.data.metrics, r.info.start_time, r.info.end_time) for r in runs)

    before = contents()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/new.db")
    assert tracking.sync(project / "out/records")["created"] == 2
    assert contents() == before
    assert len(before) == 2


def test_rounds_stand_side_by_side(project: Path, execute: Execute) -> None:
    """A run a round, whose metrics go over the rounds that it builds on; a control starts where the rounds part."""
    from mlflow import MlflowClient

    entries = {"r1": ("r0", "g1"), "r2": ("r1", "g2"), "control": ("r1", "g1")}
    lines = "".join(f"  {name}: {{prev: {prev}, generator: {generator}}}\n" for name, (prev, generator) in entries.items())
    (project / "params.yaml").write_text(f"rounds:\n{lines}")
    for round_id, value in (("r0", 0.5), ("r1", 0.6), ("r2", 0.7), ("control", 0.65)):
        execute("evaluate_retriever", round_id, value, project)
    tracking.sync(project / "out/records")
    client = MlflowClient(tracking.tracking_uri())
    experiment = client.get_experiment_by_name(tracking.ROUNDS)
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {name: run.data.metrics["1_test/ndcg_at_10"] for name, run in runs.items()} == {
        "round r0": 0.5,
        "round r1": 0.6,
        "round r2": 0.7,
        "round control": 0.65,
    }
    assert set(runs["round r2"].data.metrics) == {"1_test/ndcg_at_10", "2_dev/ndcg_at_10", "5_cost/minutes"}
    assert (runs["round r2"].data.params["prev"], runs["round r2"].data.params["generator"]) == ("r1", "g2")

    def history(run: Any) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "1_test/ndcg_at_10")]

    assert history(runs["round r2"]) == [(0, 0.5), (1, 0.6), (2, 0.7)]
    assert history(runs["round control"]) == [(0, 0.5), (1, 0.6), (2, 0.65)]
    (pipeline,) = client.search_runs([client.get_experiment_by_name(tracking.PIPELINE).experiment_id])
    assert history(pipeline) == [(0, 0.5), (1, 0.6), (2, 0.7), (3, 0.65)]
    view = json.loads(experiment.tags["mlflow.sharedViewState.rounds"])
    assert "metrics.`1_test/ndcg_at_10`" in view["selectedColumns"]
    assert tracking.rounds_address() == f"http://127.0.0.1:5000/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=rounds"


def test_charts_of_the_rounds_come_first(project: Path, execute: Execute) -> None:
    """MLflow sorts charts by what stands before the last slash of their names: single points of other stages are behind."""
    from mlflow import MlflowClient

    execute("evaluate_retriever", "r1", 0.6, project)
    execute("build_preferences", "r1", 12.0, project)
    tracking.sync(project / "out/records")
    client = MlflowClient(tracking.tracking_uri())
    (pipeline,) = client.search_runs([client.get_experiment_by_name(tracking.PIPELINE).experiment_id])
    names = sorted(pipeline.data.metrics, key=lambda name: (name.rpartition("/")[0], name))
    assert names[:2] == ["1_test/ndcg_at_10", "2_dev/ndcg_at_10"]
    assert "stages/build_preferences/ndcg_at_10" in names[3:]


def test_superseded_runs_are_marked_and_come_back(project: Path, execute: Execute) -> None:
    path = execute("evaluate_retriever", "r1", 0.5, project)
    first = path.read_text()
    tracking.sync(project / "out/records")
    execute("evaluate_retriever", "r1", 0.7, project)
    tracking.sync(project / "out/records")
    states = {run.data.metrics["ndcg_at_10"]: run.data.tags["state"] for run in stage_runs()}
    assert states == {0.5: "superseded", 0.7: "current"}
    path.write_text(first)  # what restoring the stage from DVC's cache does
    assert tracking.sync(project / "out/records")["created"] == 0
    states = {run.data.metrics["ndcg_at_10"]: run.data.tags["state"] for run in stage_runs()}
    assert states == {0.5: "current", 0.7: "superseded"}


def test_an_experiment_does_not_supersede_the_workspace(
    project: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    execute("evaluate_retriever", "r1", 0.5, project)
    tracking.sync(project / "out/records")
    monkeypatch.setenv("DVC_EXP_NAME", "sweep-1")
    monkeypatch.setenv("DVC_ROOT", str(project))
    other = tmp_path / "temp"
    execute("evaluate_retriever", "r1", 0.9, other)
    assert tracking.sync(other / "out/records")["created"] == 1
    runs = {run.data.metrics["ndcg_at_10"]: run.data.tags for run in stage_runs()}
    assert runs[0.5]["state"] == "current"
    assert runs[0.9]["dvc.exp"] == "sweep-1"


def test_another_pipeline_stands_by_itself(project: Path, execute: Execute) -> None:
    """A recipe's executions are neither superseded by the loop's nor shown among its stages."""
    execute("evaluate_retriever", "r1", 0.5, project)
    other = project / "recipes/reranker"
    execute("evaluate_reranker", "", 0.1, other)
    for _ in range(2):
        tracking.sync(project / "out/records")
        tracking.sync(other / "out/records", experiment="tandem-reranker")
    from mlflow import MlflowClient

    client = MlflowClient(tracking.tracking_uri())
    runs = client.search_runs([client.get_experiment_by_name("tandem-reranker").experiment_id])
    assert [run.data.tags["stage"] for run in runs] == ["evaluate_reranker"]
    assert [run.data.tags["state"] for run in [*runs, *stage_runs()]] == ["current", "current"]
    assert tracking.sync(other / "out/records", experiment="tandem-reranker") == {"created": 0, "present": 1}


def test_a_no_op_sync_does_not_import_mlflow(project: Path, execute: Execute) -> None:
    execute("evaluate_retriever", "r1", 0.5, project)
    tracking.sync(project / "out/records")
    imports = "import sys; from pathlib import Path; from tandem.tracking.sync import sync"
    code = f"{imports}; print(sync(Path('out/records')), 'mlflow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "{'created': 0, 'present': 1} False"


def test_a_store_that_cannot_be_written_fails_no_stage(
    project: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stages import sync_tracking

    execute("evaluate_retriever", "r1", 0.5, project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    for name in ("champions", "reranker"):
        (project / f"{name}.json").write_text("{}")
    flags = ["--champions", "champions.json", "--reranker", "reranker.json", "--report", "report.html"]
    sync_tracking.main(["--records", str(project / "out/records"), *flags])
    assert "warning: MLflow was not updated" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tracking_server_elsewhere(project: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a server, each execution stands once as well, and a second sync makes nothing."""
    import socket
    import time
    import urllib.request

    (project / "mlflow.db").unlink()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        "sqlite:///server.db",
    ]
    server = subprocess.Popen(
        [*command, "--default-artifact-root", str(project / "artifacts")],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        for round_id in ("r0", "r1"):
            execute("evaluate_retriever", round_id, 0.5, project)
        assert tracking.sync(project / "out/records") == {"created": 2, "present": 0}
        assert tracking.sync(project / "out/records") == {"created": 0, "present": 2}
        assert not (project / "mlflow.db").exists()
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


@pytest.mark.slow
def test_a_locked_database_costs_a_warning(project: Path, execute: Execute, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    from stages import sync_tracking

    execute("evaluate_retriever", "r1", 0.5, project)
    tracking.sync(project / "out/records")
    execute("evaluate_retriever", "r2", 0.5, project)
    for name in ("champions", "reranker"):
        (project / f"{name}.json").write_text("{}")
    flags = ["--champions", "champions.json", "--reranker", "reranker.json", "--report", "report.html"]
    holder = sqlite3.connect(project / "mlflow.db")
    holder.execute("BEGIN EXCLUSIVE")
    sync_tracking.main(["--records", str(project / "out/records"), *flags])
    assert "`tandem sync` tries again" in capsys.readouterr().err
    holder.rollback()
    holder.close()
    assert tracking.sync(project / "out/records") == {"created": 1, "present": 1}
