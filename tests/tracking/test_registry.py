"""Registered models and the alias: once each, moved by the rule alone, and by hand."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tandem.tracking import record as executions
from tandem.tracking import sync as tracking

RULE = {"alpha": 0.05, "equal_within": 0.0, "guard_tolerance": 0.02, "resamples": 500, "seed": 1}


def pipeline(project: Path, md5: str, dev: list[float], monkeypatch: pytest.MonkeyPatch, **guard: float) -> list[str]:
    """A pipeline whose only round has such dev values, synced; returns what sync said of the alias."""
    monkeypatch.setenv("DVC_STAGE", "train_retriever_r0")
    with executions.record("train_retriever", {"steps": 1}, project / "out/records/train_retriever.json", round_id="r0") as run:
        run.log({"loss": 1.0})
    lock = {"stages": {"train_retriever_r0": {"outs": [{"path": "out/rounds/r0/retriever", "md5": md5}]}}}
    (project / "dvc.lock").write_text(json.dumps(lock))
    values = {"dev": {f"q{i}": value for i, value in enumerate(dev)}, "guard": guard, "costs": {}, "tags": {"dev": "0.5"}}
    champions: dict[str, Any] = {"retriever": {"champion": "r0", "models": {"r0": values}, "rule": RULE}}
    said: list[str] = []
    tracking.sync(project / "out/records", champions=champions, say=said.append)
    return said


def test_a_baseline_that_is_champion_is_registered(project: Path) -> None:
    """B14: no round beats it, so it is what is served; its source is the folder of its own stage."""
    (project / "dvc.lock").write_text(
        json.dumps({"stages": {"build_baselines": {"outs": [{"path": "out/models/baselines/bm25", "md5": "b"}]}}})
    )
    model = {"dev": {"q0": 0.5, "q1": 0.7}, "guard": {}, "costs": {}, "tags": {}, "folder": "out/models/baselines/bm25"}
    champions: dict[str, Any] = {"retriever": {"champion": "bm25", "models": {"bm25": model}, "rule": RULE}}
    said: list[str] = []
    tracking.sync(project / "out/records", champions=champions, say=said.append)
    assert any("bm25 (version 1) is champion now: there was no champion" in line for line in said)
    assert alias() == [("retriever", "1", "champion")]


def alias() -> list[tuple[str, str, str]]:
    return [(role, version, shown) for role, version, _, shown in tracking.list_champions()]


def test_the_alias_moves_for_a_significant_gain_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    low, same, high = [0.4] * 20, [0.4 + 0.2 * (-1) ** i for i in range(20)], [0.6] * 20
    assert "champion now: there was no champion" in pipeline(project, "one", low, monkeypatch)[0]
    assert "version 1 stays: its difference on dev is no significant gain" in pipeline(project, "two", same, monkeypatch)[0]
    assert alias() == [("retriever", "2", ""), ("retriever", "1", "champion")]
    assert "champion now: its gain on dev is significant" in pipeline(project, "three", high, monkeypatch)[0]
    assert alias()[0] == ("retriever", "3", "champion")
    assert "(version 3) is champion" in pipeline(project, "three", high, monkeypatch)[0]  # run again: the same content, no version more
    assert len(alias()) == 3


def test_what_was_measured_on_other_queries_cannot_be_met(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(project, "one", [0.4] * 20, monkeypatch)
    assert "not measured on the same dev queries" in pipeline(project, "two", [0.9] * 8, monkeypatch)[0]
    tracking.move_champion("retriever", "2")
    assert alias()[0] == ("retriever", "2", "champion")


def test_a_fall_on_the_guard_bars_the_way(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(project, "one", [0.4] * 20, monkeypatch, g0=0.9, g1=0.9)
    assert "falls on the guard collection" in pipeline(project, "two", [0.9] * 20, monkeypatch, g0=0.9, g1=0.5)[0]


def test_a_version_says_where_it_comes_from(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    (project / "out/data").mkdir(parents=True)
    (project / "out/data/manifest.json").write_text('{"sha256": "abc"}')
    identity = ("-c", "user.name=tandem", "-c", "user.email=tandem@example.org")
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--allow-empty", "--message", "x"], check=True)
    pipeline(project, "one", [0.4] * 20, monkeypatch)
    version = MlflowClient(tracking.tracking_uri()).get_model_version_by_alias("tandem-retriever", "champion")
    assert version.source == str(project / "out/rounds/r0/retriever")
    assert version.tags["dvc.md5"] == "one"
    assert version.tags["model"] == "r0"
    assert (version.tags["data.sha256"], version.tags["dev.interval"]) == ("abc", "0.4000 to 0.4000")
    assert len(version.tags["git.sha"]) == 40
    run = MlflowClient(tracking.tracking_uri()).get_run(version.run_id)
    assert run.data.tags["stage"] == "train_retriever"


def test_an_experiment_registers_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "sweep-1")
    assert pipeline(project, "one", [0.4] * 20, monkeypatch) == []
    assert alias() == []


def test_moving_by_hand_names_what_there_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(project, "one", [0.4] * 20, monkeypatch)
    with pytest.raises(ValueError, match="role: 'king' found, allowed: retriever, reranker, generator"):
        tracking.move_champion("king", "1")
    with pytest.raises(ValueError, match="tandem-retriever: no version '9'; there are: 1"):
        tracking.move_champion("retriever", "9")


def test_half_a_run_is_made_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync killed in the middle leaves a run RUNNING: the next deletes it and makes the whole one."""
    from mlflow import MlflowClient

    with executions.record("train_retriever", {"steps": 1}, project / "out/records/train_retriever.json", round_id="r0") as run:
        run.log({"loss": 1.0})
    original = MlflowClient.set_terminated
    monkeypatch.setattr(MlflowClient, "set_terminated", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        tracking.sync(project / "out/records")
    monkeypatch.setattr(MlflowClient, "set_terminated", original)
    assert tracking.sync(project / "out/records") == {"created": 1, "present": 0}
    client = MlflowClient(tracking.tracking_uri())
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3  # the stage, its round, the pipeline


def test_a_registry_that_refuses_leaves_the_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("Invalid source: local paths are not allowed\nmore of it")

    monkeypatch.setattr(MlflowClient, "create_model_version", refuse)
    said = pipeline(project, "one", [0.4] * 20, monkeypatch)
    assert said == ["warning: models were not registered: Invalid source: local paths are not allowed; the runs are there"]
    client = MlflowClient(tracking.tracking_uri())
    assert {client.get_experiment_by_name(name) is None for name in (tracking.STAGES, tracking.ROUNDS, tracking.PIPELINE)} == {False}
    assert len(client.search_runs([client.get_experiment_by_name(tracking.PIPELINE).experiment_id])) == 1
