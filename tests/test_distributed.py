"""Every training stage of the HF Trainer under two processes (gloo): one writes, and the loss is that of one process with twice the batch.

The models have no dropout, which each process would draw for itself; retrievers learn from a teacher alone here, for in-batch negatives are
those of a process: with two processes a row has half as many.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import task_steps
from conftest import QUERIES, TEXTS, set_values
from ruamel.yaml import YAML

from tandem.retrievers.bm25 import BM25Index

ROOT = Path(__file__).parents[1]
DEEPSPEED = ROOT / ".venv/deepspeed"  # beside the environment: in it, every save of a model would import it
DATA = "--corpus corpus.jsonl --train train.jsonl --dev dev.jsonl"
DEEPSPEED_THERE = pytest.mark.skipif(not DEEPSPEED.is_dir(), reason="`make test` installs DeepSpeed there")
pytestmark = pytest.mark.xdist_group("distributed")  # two processes each: one test at a time is enough for two cores
TORCHRUN = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
FLAGS = {
    "improve_generator": "--round r1 --update g2 --corpus corpus.jsonl --index bm25 --generator generator --reward-model none "
    "--gate gate.json --pairs pairs.jsonl --held-out held_out.jsonl --difficulty difficulty.jsonl "
    "--model model --curve curve.csv --record record.json",
    "generate_queries": "--round r1 --corpus corpus.jsonl --held-out held_out.json --weights generator --cache completions.jsonl "
    "--queries queries.jsonl --record record.json",
    "train_reranker": "--name teacher --rows rows.jsonl --dev-rows dev_rows.jsonl --model model --curve curve.csv --record record.json",
    "train_generator": f"{DATA} --model model --curve curve.csv --record record.json",
    "train_reward_model": "--round r1 --update g2 --corpus corpus.jsonl --generator generator --pairs pairs.jsonl "
    "--held-out held_out.jsonl --model model --gate gate.json --curve curve.csv --record record.json",
    "train_retriever": f"--round r1 {DATA} --previous-queries none.jsonl --queries none.jsonl --negatives mined.jsonl "
    "--model model --curve curve.csv --record record.json",
}


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def without_dropout(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    for path in target.rglob("config.json"):
        config = json.loads(path.read_text())
        if "hidden_size" in config:
            path.write_text(json.dumps({**config, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}))
    return target


@pytest.fixture
def project(tiny_cross_encoder: Path, tiny_encoder: Path, tiny_generator: Path, tmp_path: Path) -> Path:
    """Inputs of every stage, and the values of the loop and of the recipe for small models."""
    (tmp_path / ".dvc").mkdir()
    names = list(TEXTS)
    lines(tmp_path / "corpus.jsonl", [{"doc_id": name, "text": text} for name, text in TEXTS.items()])
    pairs = [{"query_id": name, "text": text, "doc_id": name} for name, text in QUERIES.items()]
    lines(tmp_path / "train.jsonl", pairs[:4])
    lines(tmp_path / "dev.jsonl", pairs[4:])
    lines(tmp_path / "none.jsonl", [])
    others = {name: [other for other in names if other != name] for name in names}
    rows = [{"query": QUERIES[n], "pos": [TEXTS[n]], "neg": [TEXTS[o] for o in others[n]]} for n in names]
    lines(tmp_path / "rows.jsonl", rows[:4])
    lines(tmp_path / "dev_rows.jsonl", rows[4:])
    scores = {"pos_scores": [2.0], "neg_scores": [0.5, 0.1, -0.2, -1.0, -2.0]}
    lines(tmp_path / "mined.jsonl", [{"query": QUERIES[n], "pos": [n], "neg": others[n], **scores} for n in names])
    preferences = [
        {"doc_id": n, "chosen": QUERIES[n], "rejected": QUERIES[o], "kind": "valid_over_invalid"} for n in names for o in others[n][:2]
    ]
    lines(tmp_path / "pairs.jsonl", preferences[:8])
    lines(tmp_path / "held_out.jsonl", preferences[8:])
    shutil.copytree(tiny_generator, tmp_path / "generator")
    yaml = YAML(typ="safe")
    params = yaml.load((ROOT / "params.yaml").read_text())
    recipe = yaml.load((ROOT / "recipes/reranker/params.yaml").read_text())
    cross_encoder = without_dropout(tiny_cross_encoder, tmp_path / "cross_encoder")
    params["precision"] = "fp32"  # in which the sums of halves are the sum of the whole to 1e-7; bfloat16 has a test of its own
    params["rerankers"] = {"teacher": recipe["rerankers"]["teacher"]}
    params["rerankers"]["teacher"].update(base=str(cross_encoder), steps=8, documents_per_query=3, learning_rate=1e-3)
    params["train_reranker"] = {**recipe["train_reranker"], "evaluations": 2}
    encoder = without_dropout(tiny_encoder, tmp_path / "encoder")
    params["retriever"].update(encoder=str(encoder), layers=None, dimensions=16, query_tokens=16, document_tokens=32)
    params["train_retriever"].update(steps=8, evaluations=2, dev_documents=6, negatives=2, learning_rate=1e-3)
    params["train_retriever"]["distillation"] = {
        "distillation": "margin_mse",
        "distillation_weight": 1.0,
        "contrastive_weight": 0.0,
        "teacher_temperature": 1.0,
    }
    params["train_generator"].update(base="generator", epochs=3, lora={"rank": 4, "alpha": 8, "dropout": 0.0})
    lines(
        tmp_path / "difficulty.jsonl",
        [{"query_id": n, "doc_id": n, "rank": 1, "score": 1.0, "difficulty": i / 6} for i, n in enumerate(names)],
    )
    (tmp_path / "gate.json").write_text(json.dumps({"passed": False}))
    (tmp_path / "held_out.json").write_text("[]")
    BM25Index(TEXTS).save(tmp_path / "bm25")
    improvement = {
        "rewards": {"reward_model": 0.0, "round_trip": 1.0},
        "ppo": {"steps": 3, "batch_size": 2, "minibatch_size": 2, "responses": 1, "max_new_tokens": 6},
        "group": {"steps": 3, "prompts_per_step": 1, "responses": 2, "updates": 1, "max_new_tokens": 6},
        "dpo": {"epochs": 2},
    }
    set_values(params, {"improve_generator": improvement})
    params["generate_queries"].update(sampled_documents=6, queries_per_document=3, batch_size=4, max_new_tokens=6)
    params["train_reward_model"].update(epochs=2, min_pairs=2, lora={"rank": 4, "alpha": 8, "dropout": 0.0})
    return write(tmp_path, params)


def write(project: Path, params: dict[str, Any]) -> Path:
    with (project / "params.yaml").open("w") as file:
        YAML().dump(params, file)
    return project


def train(project: Path, stage: str, launcher: list[str], *, series: str = "loss") -> tuple[list[float], bytes]:
    """A series and the weights, or the queries, of a stage under a launcher; without one, in this process, whose imports are paid for."""
    if launcher:
        start(project, stage, launcher)
    else:
        with contextlib.chdir(project):
            importlib.import_module(f"stages.{stage}").main(FLAGS[stage].split())
    assert not any((project / ".scratch").iterdir())
    record = json.loads((project / "record.json").read_text())
    written = project / "queries.jsonl" if stage == "generate_queries" else next((project / "model").rglob("model.safetensors"))
    return [value for _, value in record["series"].get(series, [])], written.read_bytes()


def start(project: Path, stage: str, launcher: list[str]) -> None:
    aside = f":{DEEPSPEED}" if {"accelerate.commands.launch", "deepspeed.launcher.runner"} & {*launcher} else ""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}{aside}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", *launcher, f"stages.{stage}", *FLAGS[stage].split()]
    with subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=280)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the launcher and its workers
            raise
    assert process.returncode == 0, errors[-3000:]


def set_batch(stage: str, params: dict[str, Any], size: int) -> None:
    own = {"train_reranker": params["rerankers"]["teacher"], "improve_generator": params["improve_generator"]["dpo"]}
    own.get(stage, params[stage])["batch_size"] = size


def late(params: dict[str, Any]) -> None:
    params["retriever"]["kind"] = "colbert"


def preferences(params: dict[str, Any]) -> None:
    params["improve_generator"]["algorithm"] = "dpo"


def single(params: dict[str, Any]) -> None:
    params["retriever"]["kind"] = "dense"
    params["train_retriever"].update(temperature=0.2, merge=0.75)


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("train_reranker", late),
        ("train_generator", late),
        ("train_reward_model", late),
        ("improve_generator", preferences),
        ("train_retriever", late),
        ("train_retriever", single),
    ],
    ids=["reranker", "sft", "reward_model", "dpo", "colbert", "dense"],
)
def test_two_processes_learn_what_one_does(project: Path, stage: str, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load

    params = YAML(typ="safe").load((project / "params.yaml").read_text())
    change(params)
    set_batch(stage, params, 4)
    one, weights = train(write(project, params), stage, [])
    before = {path.name for path in project.iterdir()}
    set_batch(stage, params, 2)
    two, other = train(write(project, params), stage, [*TORCHRUN, "-m"])
    assert len(one) == len(two) >= 3
    assert len(set(one)) > 1
    assert two == pytest.approx(one, abs=1e-4)
    first, second = load(weights), load(other)
    assert all((first[name] - second[name]).abs().max() < 1e-3 for name in first)
    assert {path.name for path in project.iterdir()} == before


@pytest.mark.distributed
@pytest.mark.parametrize(("stage", "change"), [("train_generator", late)], ids=["sft"])
def test_two_processes_learn_what_one_does_in_bfloat16(project: Path, stage: str, change: Callable[[dict[str, Any]], None]) -> None:
    """A number of 8 bits is rounded by 1 in 256 at most: losses of both agree to a few such steps, and are saved in float32."""
    from safetensors.torch import load

    params = YAML(typ="safe").load((project / "params.yaml").read_text())
    params["precision"] = "bf16"
    change(params)
    set_batch(stage, params, 4)
    one, weights = train(write(project, params), stage, [])
    set_batch(stage, params, 2)
    two, other = train(write(project, params), stage, [*TORCHRUN, "-m"])
    assert len(one) == len(two) >= 3
    assert len(set(one)) > 1
    assert two == pytest.approx(one, rel=4 / 256)
    assert {str(value.dtype) for content in (weights, other) for value in load(content).values()} == {"torch.float32"}


@pytest.mark.distributed
def test_two_processes_make_one_ppo_step(tiny_generator: Path, tmp_path: Path) -> None:
    """The same responses, whole or in halves of unlike length: the same gradients and losses, the same standardised scores."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    found = []
    for launcher in ([], [*TORCHRUN, "-m"]):
        command = [sys.executable, "-m", *launcher, "ppo_step", str(tiny_generator), str(tmp_path / "step.json")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(json.loads((tmp_path / "step.json").read_text()))
    one, two = found
    assert (one["processes"], two["processes"]) == (1, 2)
    assert max(abs(value) for value in one["gradient"]) > 1e-3
    assert two["gradient"] == pytest.approx(one["gradient"], abs=1e-6)
    assert two["moments"] == pytest.approx(one["moments"])
    assert two["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-4)


@pytest.mark.distributed
def test_two_processes_train_tasks_on_all_keys_of_both(tiny_encoder: Path, tmp_path: Path) -> None:
    """With the keys of both processes in every denominator a step is that of one process with twice the batch, its gradient too."""
    encoder = without_dropout(tiny_encoder, tmp_path / "encoder")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    task_steps.main(str(encoder), str(tmp_path / "one.json"))
    command = [sys.executable, "-m", *TORCHRUN, "-m", "task_steps", str(encoder), str(tmp_path / "two.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("one.json", "two.json"))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert max(abs(value) for value in one["gradient"]) > 1e-2
    assert two["gradient"] == pytest.approx(one["gradient"], abs=1e-5, rel=1e-4)
    assert len(one["losses"]) == 10
    for (step, loss), (other_step, other) in zip(one["losses"], two["losses"], strict=True):
        assert (step, loss) == (other_step, pytest.approx(other, abs=1e-3))
    assert max(abs(first - second) for first, second in zip(one["weights"], two["weights"], strict=True)) < 1e-3
    assert one["apart"] == one["loss"]
    assert abs(two["apart"] - one["loss"]) > 1e-2  # a process alone has a third of the other rows' keys


@pytest.mark.distributed
@pytest.mark.parametrize("algorithm", ["rloo", pytest.param("grpo", marks=pytest.mark.slow)])
def test_groups_under_two_processes(project: Path, algorithm: str) -> None:
    """Each process writes responses of its own to prompts of its own; the documents go from easy to hard over both."""
    params = YAML(typ="safe").load((project / "params.yaml").read_text())
    params["improve_generator"]["algorithm"] = algorithm
    difficulty, _ = train(write(project, params), "improve_generator", [*TORCHRUN, "-m"], series="difficulty")
    assert difficulty == pytest.approx([0.5 / 6, 2.5 / 6, 4.5 / 6])


@pytest.mark.distributed
@pytest.mark.parametrize(
    "launcher",
    [
        [*TORCHRUN, "-m"],
        pytest.param(
            ["deepspeed.launcher.runner", "--num_gpus", "2", "--no_python", "--no_local_rank", sys.executable, "-m"],
            marks=[DEEPSPEED_THERE, pytest.mark.slow],
        ),
    ],
    ids=["torchrun", "deepspeed"],
)
def test_ppo_under_two_processes_writes_once(project: Path, launcher: list[str]) -> None:
    before = {path.name for path in project.iterdir()} | {"model", "curve.csv", "record.json", ".scratch"}
    reward, _ = train(project, "improve_generator", launcher, series="reward")
    assert len(reward) == 3
    assert {path.name for path in project.iterdir()} == before


@pytest.mark.distributed
@DEEPSPEED_THERE
@pytest.mark.parametrize("stage", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_deepspeed_learns_what_one_process_does(project: Path, stage: int) -> None:
    """ZeRO under two processes on the CPU: fine-tuning has the loss curve of one process and writes the same weights."""
    from safetensors.torch import load

    params = YAML(typ="safe").load((project / "params.yaml").read_text())
    set_batch("train_generator", params, 4)
    one, weights = train(write(project, params), "train_generator", [])
    set_batch("train_generator", params, 2)
    launcher = ["accelerate.commands.launch", "--config_file", str(ROOT / f"configs/accelerate/zero{stage}-cpu.yaml"), "-m"]
    two, other = train(write(project, params), "train_generator", launcher)
    assert len(one) == len(two) >= 3
    assert two == pytest.approx(one, abs=1e-4)
    first, second = load(weights), load(other)
    assert all((first[name] - second[name]).abs().max() < 1e-3 for name in first)


@pytest.mark.distributed
def test_two_processes_write_the_queries_of_one(project: Path) -> None:
    _, one = train(project, "generate_queries", [])
    (project / "completions.jsonl").unlink()
    _, two = train(project, "generate_queries", [*TORCHRUN, "-m"])
    assert one.count(b"\n") == 18
    assert two == one
