"""A project of its own, and executions in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tandem.settings import Settings
from tandem.tracking.record import record

Execute = Callable[[str, str, float, Path], Path]


class Params(Settings):
    steps: int = 3
    nested: dict[str, float] = {"rate": 0.5}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them: to make them takes longer than most tests."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "DVC_STAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def execute() -> Execute:
    """Leaves the record of an execution of a stage, with a measure and a curve."""

    def run_stage(stage: str, round_id: str, value: float, folder: Path) -> Path:
        path = folder / "out/records" / round_id / f"{stage}.json"
        with record(stage, Params(), path, round_id=round_id) as run:
            run.log({"ndcg_at_10": value, "dev/ndcg_at_10": value})
            run.log_series("loss", [(i, 1 / (i + 1)) for i in range(500)])
        return path

    return run_stage
