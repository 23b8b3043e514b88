"""Every stage of recipes/reranker/dvc.yaml, called with its flags in one process, on models built in code."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dvc_file import call_stage, read_rows, stages
from ruamel.yaml import YAML

from tandem.runtime.hardware import Compute

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes/reranker"
ORDER = [
    *("inputs", "prepare_corpus", "sample_pairs", "index_bm25", "prepare_ranking", "prepare_candidates"),
    *("train_reranker@teacher", "score_with_teacher"),
    *("train_reranker@student", "train_reranker@student_alone"),
    *("evaluate_reranker@teacher", "evaluate_reranker@student", "evaluate_reranker@student_alone", "compare_rerankers"),
]


@pytest.fixture
def project(collection: Path, tiny_cross_encoder: Path, tiny_generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipe's params.yaml for models of two layers; the teacher is a decoder with a head."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    documents = read_rows(str(collection / "corpus.jsonl"))
    for i, document in enumerate(documents[:10]):
        document["title"] = f"{document['text'].split()[0]} number {i}"
    (collection / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    yaml = YAML()
    params = yaml.load((RECIPE / "params.yaml").read_text())
    params["prepare_corpus"] = {"source": "beir", "path": str(collection), "near_duplicate_threshold": 0.99}
    params["prepare_ranking"].update({"rank_end": 10, "negatives_per_query": 4, "dev_candidates": 6})
    params["prepare_candidates"].update({"rank_end": 12, "candidates_per_query": 4, "titles": 3})
    small = {"steps": 6, "batch_size": 2, "documents_per_query": 3, "form": {"kind": "encoder", "max_length": 64}}
    for own in params["rerankers"].values():
        own.update({"base": str(tiny_cross_encoder), **small})
        own["layers"] = 1 if own["layers"] else None
    head = {"kind": "head", "max_length": 64, "query_format": "query : {}", "document_format": "document : {}", "marker": " ."}
    params["rerankers"]["teacher"].update(
        {"base": str(tiny_generator), "form": head, "lora": {"rank": 2, "alpha": 4}, "learning_rate": 1e-3}
    )
    params["train_reranker"]["evaluations"] = 2
    params["compare_rerankers"]["resamples"] = 100
    with Path("params.yaml").open("w") as file:
        yaml.dump(params, file)
    return folder


call = partial(call_stage, recipe=RECIPE)


@pytest.mark.usefixtures("project")
def test_the_recipe() -> None:
    assert set(ORDER) == set(stages(Path("params.yaml"), RECIPE / "dvc.yaml"))
    for name in ORDER:
        call(name)
    table = {row["system"]: row for row in json.loads(Path("out/report/comparison.json").read_text())}
    assert list(table) == ["bm25", *(f"{name}{mixed}" for name in ("teacher", "student", "student_alone") for mixed in ("", "+bm25"))]
    assert table["teacher"]["recall_at_100"] == table["bm25"]["recall_at_100"]
    given, taught = read_rows("out/ranking/candidates.jsonl"), read_rows("out/ranking/taught.jsonl")
    assert [sorted(row["pos"]) for row in taught] == [sorted(row["pos"] + row["neg"]) for row in given]
    assert all(0 < score < 1 for row in taught for score in row["pos_scores"])
    assert 0 <= json.loads(Path("metrics/distillation.json").read_text())["teacher_auc"] <= 1
    import mlflow.pyfunc
    import pandas

    from tandem.rerankers.reranker import Reranker

    pair = (given[0]["query"], given[0]["pos"][0])
    served = mlflow.pyfunc.load_model("out/models/teacher").predict(pandas.DataFrame([pair], columns=["query", "document"]))
    assert served == pytest.approx(Reranker("out/models/teacher/weights").compute_score([pair]), abs=1e-4)


@pytest.mark.usefixtures("project")
def test_a_teacher_scores_labelled_queries_and_titles() -> None:
    """Titles are drawn by seed, and none of them is a query that is measured on."""
    for name in ORDER[:6]:
        call(name)
    labelled, given = {row["text"] for row in read_rows("out/data/pairs/train.jsonl")}, read_rows("out/ranking/candidates.jsonl")
    titles = {row["title"]: row["text"] for row in read_rows("out/data/corpus.jsonl") if row["title"]}
    assert len(titles) == 10
    by_title = [row for row in given if row["query"] in titles]
    assert {row["query"] for row in given} == labelled | {row["query"] for row in by_title}
    assert len(by_title) == 3
    assert all(row["pos"] == [f"{row['query']}\n{titles[row['query']]}"] and len(row["neg"]) == 4 for row in by_title)
    dev = read_rows("out/data/pairs/dev.jsonl")[0]["text"]
    assert dev not in {row["query"] for row in given}

    before = Path("out/ranking/candidates.jsonl").read_bytes()
    call("prepare_candidates")
    assert Path("out/ranking/candidates.jsonl").read_bytes() == before
    lines = read_rows("out/data/corpus.jsonl")
    Path("out/data/corpus.jsonl").write_text("".join(json.dumps({**line, "title": line["title"] and dev}) + "\n" for line in lines))
    call("prepare_candidates")
    assert {row["query"] for row in read_rows("out/ranking/candidates.jsonl")} == labelled


@pytest.mark.usefixtures("project")
def test_a_query_on_both_sides_is_an_error() -> None:
    for name in ORDER[:5]:
        call(name)
    Path("out/ranking/dev.jsonl").write_bytes(Path("out/ranking/train.jsonl").read_bytes())
    with pytest.raises(ValueError, match="dev queries are training queries too"):
        call("train_reranker@student_alone")
    assert not Path("out/models/student_alone").exists()


@pytest.mark.usefixtures("project")
def test_unfinished_work_belongs_to_one_reranker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rerankers of the same rows and values never find each other's checkpoints: killed, each leaves its own."""
    for name in ORDER[:5]:
        call(name)

    def die(*_: Any, compute: Compute, **__: Any) -> None:
        (compute.scratch / "checkpoints").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("stages.train_reranker.train_reranker", die)
    for name in ("train_reranker@teacher", "train_reranker@student_alone"):
        with pytest.raises(KeyboardInterrupt):
            call(name)
    assert sorted(path.parent.name for path in Path(".scratch").glob("*/checkpoints")) == [
        "train_reranker-student_alone",
        "train_reranker-teacher",
    ]
