"""Records and their MLflow runs: once each, rebuilt from nothing, superseded and back, never fatal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tandem.settings import Settings
from tandem.tracking import model_folder as model_folders
from tandem.tracking import record as executions
from tandem.tracking import sync as tracking


class Params(Settings):
    steps: int = 3
    nested: dict[str, float] = {"rate": 0.5}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "DVC_STAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def execute(stage: str, round_id: str, value: float, folder: Path) -> Path:
    path = folder / "out/records" / round_id / f"{stage}.json"
    with executions.record(stage, Params(), path, round_id=round_id) as run:
        run.log({"ndcg_at_10": value, "dev/ndcg_at_10": value})
        run.log_series("loss", [(i, 1 / (i + 1)) for i in range(500)])
    return path


def stage_runs() -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking.tracking_uri())
    experiment = client.get_experiment_by_name(tracking.STAGES)
    return list(client.search_runs([experiment.experiment_id]))


def test_a_record_holds_all_of_an_execution(project: Path) -> None:
    record = json.loads(execute("evaluate_retriever", "r1", 0.5, project).read_text())
    assert record["params"] == {"steps": "3", "nested.rate": "0.5"}
    assert record["metrics"]["ndcg_at_10"] == 0.5
    assert {"system/seconds", "system/cpu_seconds", "system/peak_memory_mb"} <= set(record["metrics"])
    assert len(record["series"]["loss"]) == 200
    assert record["series"]["loss"][0] == [0, 1.0]
    assert record["series"]["loss"][-1] == [499, 1 / 500]
    assert record["ended"] >= record["started"]


def test_a_failed_stage_leaves_no_record(project: Path) -> None:
    with pytest.raises(ValueError, match="boom"), executions.record("s", Params(), project / "out/records/s.json"):
        raise ValueError("boom")
    assert not (project / "out/records").exists()


def test_sync_is_idempotent_and_rebuilds_an_equal_store(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_rounds_stand_side_by_side(project: Path) -> None:
    from mlflow import MlflowClient

    for round_id, value in (("r0", 0.5), ("r1", 0.6)):
        execute("evaluate_retriever", round_id, value, project)
    tracking.sync(project / "out/records")
    client = MlflowClient(tracking.tracking_uri())
    rounds = client.search_runs([client.get_experiment_by_name(tracking.ROUNDS).experiment_id])
    assert all("dev/ndcg_at_10" in r.data.metrics for r in rounds)
    assert {r.info.run_name: r.data.metrics["test/ndcg_at_10"] for r in rounds} == {"round r0": 0.5, "round r1": 0.6}
    (pipeline,) = client.search_runs([client.get_experiment_by_name(tracking.PIPELINE).experiment_id])
    history = client.get_metric_history(pipeline.info.run_id, "test/ndcg_at_10")
    assert [(point.step, point.value) for point in history] == [(0, 0.5), (1, 0.6)]


def test_superseded_runs_are_marked_and_come_back(project: Path) -> None:
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


def test_an_experiment_does_not_supersede_the_workspace(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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


def test_another_pipeline_stands_by_itself(project: Path) -> None:
    """Pretraining's executions are neither superseded by the loop's nor shown among its stages."""
    execute("evaluate_retriever", "r1", 0.5, project)
    other = project / "pretraining"
    execute("pretrain", "", 0.1, other)
    for _ in range(2):
        tracking.sync(project / "out/records")
        tracking.sync(other / "out/records", experiment="tandem-pretraining")
    from mlflow import MlflowClient

    client = MlflowClient(tracking.tracking_uri())
    runs = client.search_runs([client.get_experiment_by_name("tandem-pretraining").experiment_id])
    assert [run.data.tags["stage"] for run in runs] == ["pretrain"]
    assert [run.data.tags["state"] for run in [*runs, *stage_runs()]] == ["current", "current"]
    assert tracking.sync(other / "out/records", experiment="tandem-pretraining") == {"created": 0, "present": 1}


def test_a_no_op_sync_does_not_import_mlflow(project: Path) -> None:
    execute("evaluate_retriever", "r1", 0.5, project)
    tracking.sync(project / "out/records")
    imports = "import sys; from pathlib import Path; from tandem.tracking.sync import sync"
    code = f"{imports}; print(sync(Path('out/records')), 'mlflow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "{'created': 0, 'present': 1} False"


def test_a_store_that_cannot_be_written_fails_no_stage(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stages import sync_tracking

    execute("evaluate_retriever", "r1", 0.5, project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    for name in ("champions", "reranker"):
        (project / f"{name}.json").write_text("{}")
    flags = ["--champions", "champions.json", "--reranker", "reranker.json", "--report", "report.html"]
    sync_tracking.main(["--records", str(project / "out/records"), *flags])
    assert "warning: MLflow was not updated" in capsys.readouterr().err


def test_overhead_of_recording(project: Path) -> None:
    """A record costs milliseconds: under 3 % of a stage of one second."""
    import time

    start = time.perf_counter()
    for _ in range(5):
        execute("s", "r1", 0.5, project)
    assert (time.perf_counter() - start) / 5 < 0.03


@pytest.mark.slow
def test_a_model_folder_is_an_mlflow_model(tiny_generator: Path, tmp_path: Path) -> None:
    import mlflow
    import pandas

    folder = tmp_path / "model"
    with model_folders.save_model_folder(folder, model_folders.serving_code("generator_model")) as weights:
        shutil.copytree(tiny_generator, weights, dirs_exist_ok=True)
        (weights / "prompt.json").write_text(json.dumps({"template": "Document: {document}\nQuery:", "document_tokens": 8}))
    first = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    loaded = mlflow.pyfunc.load_model(str(folder))
    assert len(loaded.predict(pandas.DataFrame({"document": ["sort", "plot a line"]}))) == 2
    with (
        pytest.raises(RuntimeError, match="stopped"),
        model_folders.save_model_folder(folder, model_folders.serving_code("generator_model")) as weights,
    ):
        (weights / "half").write_text("")
        raise RuntimeError("stopped")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == first
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_a_tracking_server_elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a server, each execution stands once as well, and a second sync makes nothing."""
    import socket
    import time
    import urllib.request

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
def test_a_locked_database_costs_a_warning(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
