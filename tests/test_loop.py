"""The whole loop as processes, small: two rounds, a repro that does nothing, kills with -9, the test set behind a wall."""

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

from tandem.runtime.overlays import render_profile

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    dropped = ("DVC_", "MLFLOW_TRACKING", "PYTHONPATH")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**kept, "PATH": path, "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1"}


def run(project: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert not check or result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-5000:]}"
    return result


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project's tracked files with small parameters, after one `dvc repro`."""
    folder = tmp_path_factory.mktemp("project")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if name.startswith(("metrics/", "docs/")) or name in ("dvc.lock", "stages/dvc.lock") or not (ROOT / name).exists():
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    base = (folder / "params.yaml").read_text()
    # Batches so small that a stage can be killed between two of them.
    # SmolLM2, for a generator made of nothing writes no query that a filter keeps; in bfloat16 `make toy` runs the same on every machine.
    values = {"precision": "auto", "generate_queries": {"batch_size": 2}}
    (folder / "params.yaml").write_text(render_profile(base, ROOT / "configs/profiles", "toy", values))
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "repro")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_two_rounds_end_in_one_table(project: Path) -> None:
    rows = {row["system"]: row for row in read(project / "out/report/comparison.json")}
    assert list(rows)[:7] == ["bm25", "dense", "colbert", "fusion", "r0", "r1", "r2"]
    assert list(rows)[10:12] == ["expanded-r1", "expanded-r2"]
    assert [name.partition("+")[2] for name in rows][12:] == ["reranker"]
    assert all(0 <= row["ndcg_at_10"] <= 1 for row in rows.values())
    assert rows["bm25"]["ndcg_at_10"] > 0.2
    assert "difference" not in rows["fusion"]
    assert all("p_randomisation_holm" in rows[name] for name in ("bm25", "r1", "r2", "fusion-r2"))
    assert "| r2 |" in (project / "out/report/comparison.md").read_text()


def test_every_row_keeps_its_ranks_status_and_reason(project: Path) -> None:
    for name in ("r1", "r2"):
        generated, rows = (
            [json.loads(line) for line in (project / f"out/rounds/{name}/{file}.jsonl").read_text().splitlines()]
            for file in ("generated", "queries")
        )
        assert [row["query_id"] for row in rows] == [row["query_id"] for row in generated]
        assert {row["status"] for row in rows} <= {"kept", "rejected"}
        assert all(row["reason"] for row in rows if row["status"] == "rejected")
        assert all(set(row["ranks"]) == {"bm25", "bm25_sampled", "dense"} for row in rows if row["status"] == "kept")


def test_ppo_started_at_its_reference_and_went_from_easy_to_hard(project: Path) -> None:
    lines = (project / "metrics/curves/improve_generator-g2.csv").read_text().splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines[1:]]
    assert len(rows) == 3
    assert abs(float(rows[0]["kl"])) < 1e-4
    visited = [float(row["difficulty"]) for row in rows]
    assert visited == sorted(visited)
    weights = [project / f"out/generators/{name}/model/weights/model.safetensors" for name in ("g1", "g2")]
    assert weights[0].read_bytes() != weights[1].read_bytes()


def test_mlflow_holds_each_execution_once(project: Path) -> None:
    code = (
        "import mlflow; c = mlflow.MlflowClient('sqlite:///mlflow.db'); "
        "print([[len(c.search_runs([e.experiment_id])), e.name] for e in c.search_experiments(order_by=['name'])])"
    )
    found = dict(reversed(item) for item in eval(run(project, "python", "-c", code).stdout.splitlines()[-1]))
    records = len(list((project / "out/records").rglob("*.json")))
    assert records == 48
    assert (found["tandem-stages"], found["tandem-rounds"], found["tandem"]) == (records, 3, 1)


def test_a_second_repro_runs_nothing_but_inputs(project: Path) -> None:
    started = time.perf_counter()
    output = run(project, "dvc", "repro").stdout
    seconds = time.perf_counter() - started
    ran = [line for line in output.splitlines() if line.startswith("Running stage")]
    assert ran == ["Running stage 'stages/dvc.yaml:inputs':"]
    assert "0 stage runs created" in run(project, "tandem", "sync").stdout
    assert seconds < 15, "4 s on a quiet machine (docs/performance.md); more than 15 means that something ran"


TIMED = ("out/records", "out/report/report.html", "metrics/curves/rounds.csv")  # they hold times


def hashes(project: Path) -> dict[str, str]:
    """The digest of every output but records and what shows them, which hold times."""
    lock = YAML(typ="safe").load((project / "dvc.lock").read_text())["stages"]
    outs = (out for stage in lock.values() for out in stage.get("outs", []))
    return {out["path"]: out["md5"] for out in outs if not out["path"].startswith(TIMED)}


COMPLETIONS = "out/cache/completions.jsonl"


def kill_when(project: Path, stage: str, seen: Any) -> None:
    """Start a stage, kill its process with -9 as soon as it has left unfinished work behind."""
    dvc = subprocess.Popen(
        ["dvc", "repro", "--single-item", "--force", "--no-run-cache", stage],
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with ending(dvc):
        deadline = time.monotonic() + 240
        while not seen() and dvc.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert dvc.poll() is None, f"{stage} ended before it could be killed"
        kill_stages(dvc)
        assert dvc.wait(timeout=60) != 0


@pytest.mark.parametrize(
    ("stage", "leftover"),
    [
        ("generate_queries@r1", COMPLETIONS),
        ("train_retriever@r1", "train_retriever-r1/checkpoints/checkpoint-2/trainer_state.json"),
        ("improve_generator@g2", "improve_generator-r1-g2/ppo.pt"),
        # The others, as soon as their work has begun.
        ("prepare_corpus", "prepare_corpus/fingerprint"),
        ("evaluate_baselines", "evaluate_baselines/fingerprint"),
        ("train_filter_encoder", "train_filter_encoder/fingerprint"),
        ("train_generator", "train_generator/fingerprint"),
        ("train_reranker", "train_reranker-relevance/fingerprint"),
        ("filter_queries@r1", "filter_queries-r1/fingerprint"),
        ("select_queries@r1", "select_queries-r1/fingerprint"),
        ("mine_negatives@r1", "mine_negatives-r1/fingerprint"),
        ("evaluate_retriever@r1", "evaluate_retriever-r1/fingerprint"),
        ("score_difficulty@g2", "score_difficulty-r1-g2/fingerprint"),
        ("train_reward_model@g2", "train_reward_model-r1-g2/fingerprint"),
    ],
)
def test_a_killed_stage_ends_in_the_same_bytes(project: Path, stage: str, leftover: str) -> None:
    before = hashes(project)
    path = project / (leftover if leftover == COMPLETIONS else f".scratch/{leftover}")
    path.unlink(missing_ok=True)  # what was generated is kept for ever
    kill_when(project, stage, lambda: path.exists() and path.stat().st_size > 0)
    assert path.exists()
    run(project, "dvc", "repro", "--single-item", "--force", "--no-run-cache", stage)
    assert hashes(project) == before
    assert path.exists() == (leftover == COMPLETIONS)
    run(project, "dvc", "repro")


SINGLE = ("r0", "r1", "r2", "r3", "s2")


def test_a_third_round_and_a_control_run_alone(project: Path) -> None:
    """New rounds are new stages: nothing of rounds 0 to 2 runs again, and all of them stand in one table."""
    values = ["+rounds.r3={prev: r2, generator: g3}", "+updates.g3={base: g2, round: r2}", "+rounds.s2={prev: r1, generator: g1}"]
    run(project, "git", "add", "--all")
    identity = ("-c", "user.name=tandem", "-c", "user.email=tandem@example.org")
    run(project, "git", *identity, "commit", "--quiet", "--message", "two rounds")
    output = run(project, "dvc", "exp", "run", *(word for value in values for word in ("-S", value))).stdout
    ran = {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}
    late = {
        "evaluate_generators",
        "check_leaks",
        "evaluate_fusion",
        "choose_champion",
        "evaluate_reranked",
        "compare_rounds",
        "write_report",
    }
    late |= {"stages/dvc.yaml:inputs", "sync_tracking"}
    assert ran - late == {stage for stage in ran if stage.endswith(("@r3", "@g3", "@s2"))}
    assert {"improve_generator@g3", "train_retriever@r3", "train_retriever@s2"} <= ran
    rows = read(project / "out/report/comparison.json")
    systems = [row["system"] for row in rows if "+" not in row["system"]]
    assert systems == ["bm25", "dense", "colbert", "fusion", *SINGLE, *(f"fusion-{name}" for name in SINGLE)]
    (control,) = read(project / "out/report/controls.json")
    assert {control["system"], control["against"]} == {"r2", "s2"}
    assert "r3" in (project / "out/report/report.html").read_text()
    run(project, "git", "checkout", "--quiet", "--", "params.yaml")
    run(project, "dvc", "repro")
    assert [row["system"] for row in read(project / "out/report/comparison.json")][6] == "r2"


def test_only_evaluation_opens_the_test_set(project: Path) -> None:
    """With the test set taken away, training a round still ends in the same bytes, and evaluation cannot run."""
    before = hashes(project)
    hidden = project / "hidden"
    (project / "out/data/test").rename(hidden)
    try:
        run(project, "dvc", "repro", "--single-item", "--force", "--no-run-cache", "train_retriever@r2")
        assert run(project, "dvc", "repro", "--single-item", "--force", "--no-run-cache", "evaluate_retriever@r2", check=False).returncode
    finally:
        hidden.rename(project / "out/data/test")
    run(project, "dvc", "repro")
    assert hashes(project) == before


def test_bad_input_ends_a_stage_with_one_line(project: Path) -> None:
    command = ["python", "-m", "stages.sample_pairs", "--pairs", "none.jsonl"]
    flags = ["--train", "a", "--dev", "b", "--queries", "c", "--record", "d"]
    result = subprocess.run(
        [*command, *flags],
        cwd=project,
        env={**environment(), "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == "error: none.jsonl: no such file; `dvc repro` runs the stage that writes it\n"
