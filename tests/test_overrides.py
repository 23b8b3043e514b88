"""DVC itself on a round's own settings: the real `inputs`, the real foreach, and stages that only write what they are to write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dvc_file import read_stages
from ruamel.yaml import YAML

from tandem.runtime.plan import STAGES

ROOT = Path(__file__).parents[1]
WRITE = "import pathlib, sys; path = pathlib.Path(sys.argv[1]); path.parent.mkdir(parents=True, exist_ok=True); path.write_text('x')"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def short(stage: dict[str, Any], out: str) -> dict[str, Any]:
    """A stage of dvc.yaml with its dependencies on overrides alone, whose command writes one output."""
    deps = [dep for dep in stage["deps"] if dep.startswith("out/data/inputs/") and "${key}" in dep]
    return {"cmd": f'python -c "{WRITE}" {out}', "deps": deps, "outs": [out]}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("src", "stages", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors", "dvc.lock"))
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    yaml = YAML()
    stages = read_stages()
    unrolled = {
        name: {"foreach": stages[name]["foreach"], "do": short(stages[name]["do"], f"out/{plan}/${{key}}/{name}")}
        for plan, names in STAGES.items()
        for name in names
    }
    with (tmp_path / "dvc.yaml").open("w") as file:
        yaml.dump({"stages": unrolled}, file)
    for command in (("git", "init", "--quiet"), ("dvc", "init", "--quiet")):
        subprocess.run(command, cwd=tmp_path, env=environment(), check=True)
    return tmp_path


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "PYTHONPATH"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}


def repro(project: Path) -> list[str]:
    done = subprocess.run(["dvc", "repro"], cwd=project, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


def override(project: Path, plan: str, name: str, values: dict[str, Any]) -> None:
    yaml = YAML()
    content = yaml.load((project / "params.yaml").read_text())
    content[plan][name].update(values)
    with (project / "params.yaml").open("w") as file:
        yaml.dump(content, file)


def test_only_the_stage_whose_setting_a_round_changes_runs_again(project: Path) -> None:
    assert len(repro(project)) == 1 + 2 * len(STAGES["rounds"]) + len(STAGES["updates"])
    assert repro(project) == ["stages/dvc.yaml:inputs"]
    override(project, "rounds", "r2", {"generate_queries": {"temperature": 0.9}})
    assert repro(project) == ["stages/dvc.yaml:inputs", "generate_queries@r2"]
    override(project, "rounds", "r2", {"steps": 96})
    assert repro(project) == ["stages/dvc.yaml:inputs", "train_retriever@r2"]
    override(project, "updates", "g2", {"improve_generator": {"ppo": {"steps": 20}}})
    assert repro(project) == ["stages/dvc.yaml:inputs", "improve_generator@g2"]
    override(project, "rounds", "r1", {"temperature": 0.9})
    done = subprocess.run(["dvc", "repro"], cwd=project, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "rounds.r1.temperature: 3 stages have such a key" in done.stderr
