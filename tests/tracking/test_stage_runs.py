"""A stage's run in MLflow: the columns Dataset, Source, Version and Models, and measures that know their model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.jsonl import write_records
from tandem.records import Document, LabelledPair, Query
from tandem.tracking import sync as tracking
from tandem.tracking.models import find_models, model_name
from tandem.tracking.record import record

PAIR = LabelledPair(query_id="q", text="what", doc_id="d")


def write_model(folder: Path) -> None:
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text("")


def train(name: str, loss: float) -> None:
    """A training stage of a round: pairs are read, a model folder is written."""
    write_records(Path("out/data/pairs/train.jsonl"), [PAIR])
    with record("train_retriever", {"steps": 3}, Path(f"out/records/{name}/train_retriever.json"), round_id=name) as run:
        run.log_input("train", Path("out/data/pairs/train.jsonl"))
        write_model(Path(f"out/rounds/{name}/retriever"))
        run.log({"loss": loss})
        run.log_models([Path(f"out/rounds/{name}/retriever"), Path("metrics/curve.csv")])


def evaluate(name: str, value: float) -> None:
    """An evaluation of it on a test set and on dev pairs."""
    write_records(Path("out/data/test/queries.jsonl"), [Query(query_id="q", text="what")])
    write_records(Path("out/data/pairs/dev.jsonl"), [PAIR, PAIR])
    write_records(Path("out/data/corpus.jsonl"), [Document(doc_id="d", text="t")])
    path, source = Path(f"out/records/{name}/evaluate_retriever.json"), "stages/evaluate_retriever.py"
    with record("evaluate_retriever", {"depth": 10}, path, round_id=name, source=source) as run:
        for role, read in (("corpus", "corpus.jsonl"), ("test", "test"), ("dev", "pairs/dev.jsonl")):
            run.log_input(role, Path("out/data", read))
        run.log_input("weights", Path(f"out/rounds/{name}/retriever/weights"))
        run.log({"ndcg_at_10": value, "dev/ndcg_at_10": value + 0.1, "index/recall_at_10": 1.0})


def open_store() -> tuple[Any, str]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking.tracking_uri())
    return client, client.get_experiment_by_name(tracking.STAGES).experiment_id


def runs_by_name() -> dict[str, Any]:
    client, experiment = open_store()
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def test_datasets_with_their_roles_and_counts(project: Path) -> None:
    train("r1", 1.0)
    evaluate("r1", 0.5)
    tracking.sync(project / "out/records")
    used = {item.dataset.name: item for item in runs_by_name()["evaluate_retriever@r1"].inputs.dataset_inputs}
    assert {name: json.loads(item.dataset.profile) for name, item in used.items()} == {
        "data/corpus": {"documents": 1},
        "data/test": {"queries": 1},
        "data/pairs/dev": {"pairs": 2},
    }
    assert [tag.value for tag in used["data/pairs/dev"].tags] == ["dev"]
    assert json.loads(used["data/test"].dataset.source) == {"uri": "out/data/test"}
    client, experiment = open_store()
    found = client.search_runs([experiment], "dataset.context = 'dev' and dataset.name = 'data/pairs/dev'")
    assert [run.info.run_name for run in found] == ["evaluate_retriever@r1"]


def test_source_and_commit(project: Path) -> None:
    evaluate("r1", 0.5)
    path = project / "out/records/r1/evaluate_retriever.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tags": {"git.sha": "c0ffee"}}))
    tracking.sync(project / "out/records")
    tags = runs_by_name()["evaluate_retriever@r1"].data.tags
    assert tags["mlflow.source.name"] == "stages/evaluate_retriever.py"
    assert tags["mlflow.source.type"] == "LOCAL"
    assert tags["mlflow.source.git.commit"] == "c0ffee"


def test_measures_belong_to_the_model_that_was_measured(project: Path) -> None:
    """Trained and measured twice: each measure is on the model that lay in the folder then."""
    for loss, value in ((1.0, 0.5), (0.9, 0.7)):
        train("r1", loss)
        evaluate("r1", value)
        tracking.sync(project / "out/records")
    client, experiment = open_store()
    models = {}
    for model in client.search_logged_models([experiment]):
        measures = {metric.key: (metric.value, metric.dataset_name) for metric in model.metrics}
        models[measures["loss"][0]] = (model, measures)
    assert {loss: measures["ndcg_at_10"] for loss, (_, measures) in models.items()} == {1.0: (0.5, "data/test"), 0.9: (0.7, "data/test")}
    assert models[0.9][1]["dev/ndcg_at_10"] == (pytest.approx(0.8), "data/pairs/dev")
    model, measures = models[1.0]
    assert (model.name, model.params["steps"], str(model.status), model.tags["path"]) == (
        "retriever-r1",
        "3",
        "READY",
        "out/rounds/r1/retriever",
    )
    assert "system/seconds" not in measures
    assert "index/recall_at_10" not in measures
    for run in client.search_runs([experiment], "tags.stage = 'evaluate_retriever'"):
        measured = [model for model, measures in models.values() if measures["ndcg_at_10"][0] == run.data.metrics["ndcg_at_10"]]
        read = client.get_run(run.info.run_id).inputs.model_inputs  # a search leaves them out
        assert [item.model_id for item in read] == [model.model_id for model in measured]
    assert [len(run.outputs.model_outputs) for run in client.search_runs([experiment], "tags.stage = 'train_retriever'")] == [1, 1]
    (shown,) = client.search_runs([client.get_experiment_by_name(tracking.ROUNDS).experiment_id], "tags.state = 'current'")
    assert [(item.model_id, item.step) for item in shown.outputs.model_outputs] == [(models[0.9][0].model_id, 0)]
    assert {item.dataset.name for item in shown.inputs.dataset_inputs} == {"data/corpus", "data/test", "data/pairs/dev"}


def test_measures_of_several_models_in_one_stage(project: Path) -> None:
    for name in ("g1", "g2"):
        write_model(Path(f"out/generators/{name}/model"))
    write_model(Path("out/models/baselines/dense"))
    with record("train_generator", {}, Path("out/records/train_generator.json")) as run:
        run.log_models([Path("out/generators/g1/model")])
    with record("improve_generator", {}, Path("out/records/r1/improve_generator-g2.json"), round_id="r1", update="g2") as run:
        run.log_input("generator", Path("out/generators/g1/model/weights"))
        run.log_models([Path("out/generators/g2/model")])
    with record("evaluate_generators", {}, Path("out/records/evaluate_generators.json")) as run:
        run.log_input("generators", Path("out/generators"))
        run.log_input("unseen", Path("out/models/baselines/dense/weights"))
        run.log({"base/top_10": 0.1, "g1/top_10": 0.2, "g2/top_10": 0.3})
    tracking.sync(project / "out/records")
    client, experiment = open_store()
    models = {
        model.name: {metric.key: metric.value for metric in model.metrics or ()} for model in client.search_logged_models([experiment])
    }
    assert models == {"generator-g1": {"g1/top_10": 0.2}, "generator-g2": {"g2/top_10": 0.3}}
    assert "improve_generator@g2" in runs_by_name()


def test_a_record_of_before_has_its_files_as_datasets(project: Path) -> None:
    """What git and DVC's cache remember: records without datasets, models or a source."""
    evaluate("r1", 0.5)
    path = project / "out/records/r1/evaluate_retriever.json"
    content = json.loads(path.read_text())
    for key in ("datasets", "models_read", "models_written", "source", "update"):
        del content[key]
    path.write_text(json.dumps({**content, "inputs": {"data/corpus.jsonl": "abc"}, "artifacts": []}))
    tracking.sync(project / "out/records")
    run = runs_by_name()["evaluate_retriever@r1"]
    assert [(item.dataset.name, item.dataset.digest) for item in run.inputs.dataset_inputs] == [("data/corpus.jsonl", "abc")]
    assert run.data.tags["mlflow.source.name"] == "stages/evaluate_retriever.py"


def test_a_sync_killed_in_a_run_leaves_no_model(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    train("r1", 1.0)
    original = MlflowClient.log_outputs
    monkeypatch.setattr(MlflowClient, "log_outputs", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        tracking.sync(project / "out/records")
    monkeypatch.setattr(MlflowClient, "log_outputs", original)
    assert tracking.sync(project / "out/records") == {"created": 1, "present": 0}
    client, experiment = open_store()
    assert len(client.search_logged_models([experiment])) == 1


def test_executions_of_one_stage_are_told_apart_by_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "recipes/reranker/dvc.yaml:train_reranker@teacher")
    with record("train_reranker", {}, project / "out/records/teacher.json"):
        pass
    tracking.sync(project / "out/records")
    assert list(runs_by_name()) == ["train_reranker@teacher"]


def test_names_that_mlflow_has_no_room_for(project: Path) -> None:
    with record("s", {}, project / "out/records/s.json") as run:
        run.log({"r0+reranker/map": 0.5})
    tracking.sync(project / "out/records")
    assert runs_by_name()["s"].data.metrics["r0_reranker/map"] == 0.5


def test_models_and_their_names(tmp_path: Path) -> None:
    for name in ("generators/g1/model", "models/baselines/bm25", "models/relevance", "generators/g1/reward_model"):
        write_model(tmp_path / name)
    assert find_models(tmp_path / "models/relevance/weights") == {tmp_path / "models/relevance": ""}
    assert find_models(tmp_path / "generators") == {tmp_path / "generators/g1/model": "g1"}
    assert find_models(tmp_path / "models/baselines") == {tmp_path / "models/baselines/bm25": "bm25"}
    assert find_models(tmp_path / "missing") == {}
    names = [model_name(Path(path)) for path in ("out/generators/g1/reward_model", "out/rounds/r2/retriever", "out/models/relevance")]
    assert names == ["reward_model-g1", "retriever-r2", "relevance"]
