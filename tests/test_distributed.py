"""A training stage under two processes (gloo): one writes, and the loss is that of one process with twice the batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
FLAGS = "--name teacher --rows rows.jsonl --dev-rows dev.jsonl --model model --curve curve.csv --record record.json"


@pytest.fixture
def project(tiny_cross_encoder: Path, tmp_path: Path) -> Path:
    """The recipe's values for a model without dropout, which each process would draw for itself."""
    from conftest import QUERIES, TEXTS

    base = tmp_path / "base"
    base.mkdir()
    for path in tiny_cross_encoder.iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}))
    rows = [
        {"query": text, "pos": [TEXTS[name]], "neg": [other for key, other in TEXTS.items() if key != name]}
        for name, text in QUERIES.items()
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:4]))
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[4:]))
    params = YAML(typ="safe").load((ROOT / "recipes/reranker/params.yaml").read_text())
    params["rerankers"] = {"teacher": params["rerankers"]["teacher"]}
    params["rerankers"]["teacher"].update(base=str(base), steps=8, documents_per_query=3, learning_rate=1e-3)
    params["train_reranker"]["evaluations"] = 2
    (tmp_path / ".dvc").mkdir()
    return write(tmp_path, params)


def write(project: Path, params: dict[str, Any]) -> Path:
    with (project / "params.yaml").open("w") as file:
        YAML().dump(params, file)
    return project


def train(project: Path, launcher: list[str], batch_size: int) -> tuple[list[float], bytes]:
    params = YAML(typ="safe").load((project / "params.yaml").read_text())
    params["rerankers"]["teacher"]["batch_size"] = batch_size
    write(project, params)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", *launcher, "stages.train_reranker", *FLAGS.split()]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list((project / ".scratch").iterdir())
    record = json.loads((project / "record.json").read_text())
    return [value for _, value in record["series"]["loss"]], (project / "model/weights/model.safetensors").read_bytes()


@pytest.mark.distributed
def test_two_processes_learn_what_one_does(project: Path) -> None:
    from safetensors.torch import load

    one, weights = train(project, [], batch_size=4)
    before = {path.name for path in project.iterdir()}
    two, other = train(project, ["torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m"], batch_size=2)
    assert len(one) == len(two) == 8
    assert two == pytest.approx(one, abs=1e-4)
    first, second = load(weights), load(other)
    assert all((first[name] - second[name]).abs().max() < 1e-3 for name in first)
    assert {path.name for path in project.iterdir()} == before
