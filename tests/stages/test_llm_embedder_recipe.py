"""Every stage of recipes/llm_embedder/dvc.yaml, called with its flags in one process, on models built in code and rows of files."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dvc_file import call_stage, read_rows, stages
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes/llm_embedder"
TRAINED = ("multi_task", "without_instructions")
BEFORE = ("inputs", "prepare_tasks", "mine_task_negatives", "score_task_keys")
ORDER = [*BEFORE, *(f"train_task_retriever@{name}" for name in TRAINED), "evaluate_tasks", "compare_tasks"]
KEYS = [
    "sort the rows of a table",
    "the mean of an array",
    "plot a line of values",
    "read a file of text",
    "merge two tables by key",
    "the largest value",
    "write a table to a file",
    "order the columns by name",
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.fixture(params=["fp32", "bf16"])
def project(
    request: pytest.FixtureRequest, tiny_encoder: Path, tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with the recipe's params.yaml, a judged task with a corpus and one that only a teacher can tell keys of."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    corpus = write(folder / "corpus.json", [{"title": key.split()[0], "text": key} for key in KEYS])
    judged = [
        {"query": f"how to {key}", "pos": [f"{key.split()[0]} {key}"], "pos_index": [i], "answers": ["table"]} for i, key in enumerate(KEYS)
    ]
    asked = [{"query": f"please {key}", "pos_index": [i], "answers": ["table"]} for i, key in enumerate(KEYS[:4])]
    talks = [{"query": f"and {key}", "history": KEYS[i : i + 3], "answers": [KEYS[i]]} for i, key in enumerate(KEYS[:5])]
    brought = [{"query": f"then {key}", "key": KEYS[i : i + 3], "answers": [KEYS[i]]} for i, key in enumerate(KEYS[:3])]
    files = {
        "qa": {"train": [write(folder / "qa.json", judged)], "dev": [], "test": [write(folder / "qa-test.json", asked)]}
        | {"corpus": corpus, "key_template": "{title} {text}"},
        "chat": {"train": [write(folder / "chat.json", talks)], "dev": [], "test": [write(folder / "chat-test.json", brought)]}
        | {"corpus": None, "key_template": "{text}"},
    }
    params = YAML().load((RECIPE / "params.yaml").read_text())
    params["precision"] = request.param
    params["task_encoder"].update({"encoder": str(tiny_encoder), "query_tokens": 24, "key_tokens": 32})
    params["prepare_tasks"].update({"source": "files", "files": files, "dev_rows": 2})
    params["mine_task_negatives"].update({"max_negatives": 3, "depth": 8, "near_duplicate_threshold": 0.99})
    lengths = {"key_tokens": 12, "query_tokens": 12, "answer_tokens": 6, "max_length": 48}
    params["score_task_keys"].update({"model": str(tiny_generator), "tasks": ["chat"], "negatives": 2, **lengths})
    params["train_task_retriever"].update({"steps": 2, "batch_size": 2, "evaluations": 1})
    for plan in params["retrievers"].values():
        plan["tasks"] = ["qa", "chat"]
    params["evaluate_tasks"].update(
        {"model": str(tiny_generator), "likelihood_queries": 2, "prompts": {**lengths, "max_new_tokens": 4, "seed": 1}}
    )
    params["compare_tasks"]["resamples"] = 100
    with Path("params.yaml").open("w") as file:
        YAML().dump(params, file)
    return folder


call = partial(call_stage, recipe=RECIPE)


@pytest.mark.usefixtures("project")
def test_the_recipe() -> None:
    assert set(ORDER) == set(stages(Path("params.yaml"), RECIPE / "dvc.yaml"))
    for name in ORDER:
        call(name)
    assert len(read_rows("out/data/rows/train/qa.jsonl")) == 6
    assert Path("out/data/corpora/train/qa.jsonl").samefile("out/data/corpora/test/qa.jsonl")
    mined = read_rows("out/mined/train/qa.jsonl")
    assert all(len(row["neg"]) <= 3 and not {*row["neg"]} & {*row["pos"]} for row in mined)
    counts = json.loads(Path("out/records/mine_task_negatives.json").read_text())["metrics"]
    assert counts["train/qa/rows_without_negatives"] == sum(not row["neg"] for row in mined) < len(mined)
    scored = read_rows("out/scored/train/chat.jsonl")
    assert all(len(row["teacher_scores"]) == len(row["neg"]) == 2 for row in scored)
    scale = json.loads(Path("out/scored/train/chat.scale.json").read_text())
    assert (scale["kind"], scale["reduction"]) == ("likelihood", "mean")
    values = json.loads(Path("out/evaluation/per_query.json").read_text())
    assert {*values} == {"bm25", "untrained", "untrained_instructed", *TRAINED, "no_key", "random_key"}
    assert len(values["multi_task"]["qa"]["ndcg_at_10"]) == 4
    assert len(values["multi_task"]["chat"]["log_likelihood"]) == 2
    assert "exact_match" not in values["multi_task"]["chat"], "its answers are long"
    table = {(row["system"], row["task"]): row for row in json.loads(Path("out/report/comparison.json").read_text())}
    assert table["multi_task", "qa"]["mean"] == pytest.approx(sum(values["multi_task"]["qa"]["ndcg_at_10"].values()) / 4)
    assert json.loads(Path("out/report/choice.json").read_text())["chosen"] in {"untrained", *TRAINED}
    prompts = json.loads(Path("out/models/multi_task/config_sentence_transformers.json").read_text())["prompts"]
    assert prompts["chat_query"] == "Embed this dialogue to find useful historical dialogues: "


@pytest.mark.usefixtures("project")
def test_short_answers_after_the_first_key_are_matched_as_well() -> None:
    params = YAML().load(Path("params.yaml"))
    params["measures"].update({"qa": "log_likelihood", "chat": "mrr_at_10"})
    YAML().dump(params, Path("params.yaml"))
    for name in ORDER[:-1]:
        call(name)
    values = json.loads(Path("out/evaluation/per_query.json").read_text())
    assert {*values["no_key"]} == {"qa"}
    assert all({*values[name]["qa"]["exact_match"].values()} <= {0.0, 1.0} for name in ("no_key", "random_key", "multi_task"))
    assert "log_likelihood" not in values["multi_task"]["chat"]


@pytest.mark.usefixtures("project")
def test_the_same_inputs_give_the_same_scores_without_asking_again() -> None:
    for name in BEFORE:
        call(name)
    before, cache = Path("out/scored/train/chat.jsonl").read_bytes(), Path(".scratch/likelihoods.jsonl").read_bytes()
    call("score_task_keys")
    assert Path("out/scored/train/chat.jsonl").read_bytes() == before
    assert Path(".scratch/likelihoods.jsonl").read_bytes() == cache
