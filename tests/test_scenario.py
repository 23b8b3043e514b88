"""A working life in one test: reruns, changes taken back, a colleague's clone, a queue, a kill; MLflow holds each execution once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ending, kill_stages
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
# The first stages of the loop with the real dvc.yaml's own entries: a corpus, labels, rows, a model with a curve; and sync.
INPUTS = "stages/dvc.yaml:inputs"
KEPT = ["prepare_corpus", "sample_pairs", "prepare_ranking", "train_reranker", "sync_tracking"]
STAGES = len(KEPT) - 1  # sync_tracking has no record

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_TRACKING", "PYTHONPATH"))}
    identity = {f"GIT_{who}_{what}": "tandem@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**kept, **identity, "PATH": path, "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1"}


def run(project: Path, *command: str) -> str:
    result = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-5000:]}"
    return result.stdout


def store(project: Path) -> list[dict[str, Any]]:
    """The executions that MLflow has: id, status, state, experiment, params and metrics with their steps."""
    code = """
import json, mlflow
client = mlflow.MlflowClient("sqlite:///mlflow.db")
experiment = client.get_experiment_by_name("tandem-stages")
rows = []
for run in client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []:
    history = {k: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, k)] for k in run.data.metrics}
    tags = run.data.tags
    rows.append({"id": tags["record_id"], "status": run.info.status, "state": tags["state"], "exp": tags.get("dvc.exp", ""),
                 "stage": tags["stage"], "params": run.data.params, "history": history})
print(json.dumps(sorted(rows, key=lambda row: row["id"])))
"""
    return list(json.loads(run(project, "python", "-c", code).splitlines()[-1]))


def ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def set_value(project: Path, old: str, new: str) -> None:
    path = project / "params.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "project"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if name.split("/")[0] in ("src", "stages", "configs", ".dvc") or name in (".gitignore", ".dvcignore", "constraints.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    yaml = YAML()
    pipeline = yaml.load((ROOT / "dvc.yaml").read_text())
    pipeline["stages"] = {name: pipeline["stages"][name] for name in KEPT}
    params = yaml.load((ROOT / "params.yaml").read_text())
    params["prepare_corpus"].update(packages=["networkx"], documents=80, test_queries=20)
    params["sample_pairs"].update(pairs=20)
    params["rerankers"]["relevance"].update(layers=1, steps=4)
    for name, content in (("dvc.yaml", pipeline), ("params.yaml", params)):
        with (folder / name).open("w") as file:
            yaml.dump(content, file)
    # What the later stages would have written for sync.
    for name in ("champions.json", "reranker.json", "report.html"):
        (folder / "out/report").mkdir(parents=True, exist_ok=True)
        (folder / "out/report" / name).write_text("{}")
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all", "--force")
    run(folder, "git", "commit", "--quiet", "--message", "start")
    yield folder
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_working_life(project: Path) -> None:
    # Run.
    assert ran(run(project, "dvc", "repro")) == [INPUTS, *KEPT]
    first = store(project)
    assert len(first) == STAGES
    assert len(next(row for row in first if row["stage"] == "train_reranker")["history"]["loss"]) == 4

    # Delete outputs: they come from the cache, as the executions that they were.
    for name in ("records", "ranking", "models"):
        shutil.rmtree(project / "out" / name)
    assert ran(run(project, "dvc", "repro")) == [INPUTS]
    assert store(project) == first

    # Change a value, and change it back: what it reached ran once, and comes back from the cache.
    set_value(project, "negatives_per_query: 6", "negatives_per_query: 4")
    assert ran(run(project, "dvc", "repro")) == [INPUTS, "prepare_ranking", "train_reranker", "sync_tracking"]
    changed = store(project)
    assert len(changed) == STAGES + 2
    assert sorted(row["stage"] for row in changed if row["state"] == "superseded") == ["prepare_ranking", "train_reranker"]
    set_value(project, "negatives_per_query: 4", "negatives_per_query: 6")
    assert ran(run(project, "dvc", "repro")) == [INPUTS, "sync_tracking"]
    back = store(project)
    assert {row["id"] for row in back} == {row["id"] for row in changed}
    assert {row["id"] for row in back if row["state"] == "current"} == {row["id"] for row in first}

    # A colleague clones and pulls: nothing runs there, and a sync gives their MLflow what was pushed.
    run(project, "dvc", "remote", "add", "--default", "--local", "shelf", str(project.parent / "shelf"))
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "run")
    run(project, "dvc", "push")
    clone = project.parent / "clone"
    run(project.parent, "git", "clone", "--quiet", str(project), str(clone))
    run(clone, "dvc", "remote", "add", "--default", "--local", "shelf", str(project.parent / "shelf"))
    run(clone, "dvc", "pull")
    assert ran(run(clone, "dvc", "repro")) == [INPUTS]
    run(clone, "tandem", "sync")
    assert store(clone) == first

    # Two queued experiments at once, each with the code of its own snapshot: the edit comes after the first was queued.
    run(project, "dvc", "exp", "run", "--queue", "--name", "before", "--set-param", "sample_pairs.pairs=16")
    stage = project / "stages/sample_pairs.py"
    text = stage.read_text()
    assert 'tracked.log({f"dev_{name}"' in text
    stage.write_text(text.replace('tracked.log({f"dev_{name}"', 'tracked.log({"edited": 1.0})\n        tracked.log({f"dev_{name}"'))
    run(project, "dvc", "exp", "run", "--queue", "--name", "after", "--set-param", "sample_pairs.pairs=16")
    stage.write_text(text)
    run(project, "dvc", "queue", "start", "--jobs", "2")
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        status = run(project, "dvc", "queue", "status")
        if status.count("Success") + status.count("Failed") == 2:
            break
        time.sleep(2)
    assert status.count("Success") == 2, status
    queued = store(project)
    sampled = {row["exp"]: "edited" in row["history"] for row in queued if row["stage"] == "sample_pairs" and row["exp"]}
    assert sampled == {"before": False, "after": True}
    # sample_pairs ran in each; what follows is alike in both, and DVC may hand one's outputs to the other.
    fresh = [row["stage"] for row in queued if row["id"] not in {known["id"] for known in changed}]
    assert {name: fresh.count(name) for name in set(fresh)}["sample_pairs"] == 2
    assert all(1 <= fresh.count(name) <= 2 for name in ("prepare_ranking", "train_reranker")), fresh
    assert set(fresh) == {"sample_pairs", "prepare_ranking", "train_reranker"}
    assert {row["id"] for row in queued if row["state"] == "current" and not row["exp"]} == {row["id"] for row in first}

    # Kill a stage with -9: no run of it, and none left RUNNING; then it runs.
    dvc = subprocess.Popen(
        ["dvc", "repro", "--single-item", "--force", "--no-run-cache", "train_reranker"],
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    fingerprint = project / ".scratch/train_reranker-relevance/fingerprint"
    with ending(dvc):
        while not fingerprint.exists() and dvc.poll() is None:
            time.sleep(0.02)
        assert dvc.poll() is None
        kill_stages(dvc)
        assert dvc.wait(timeout=60) != 0
    run(project, "dvc", "repro", "--single-item", "--force", "--no-run-cache", "train_reranker")
    run(project, "dvc", "repro")
    final = store(project)
    assert len(final) == len(queued) + 1
    assert len({row["id"] for row in final}) == len(final)
    assert {row["status"] for row in final} == {"FINISHED"}

    # The store is disposable: what sync makes of DVC's cache and git has the same runs, params and metrics.
    (project / "mlflow.db").unlink()
    run(project, "tandem", "sync", "--history")
    keys = ("id", "status", "stage", "exp", "params", "history")
    assert [[row[key] for key in keys] for row in store(project)] == [[row[key] for key in keys] for row in final]
