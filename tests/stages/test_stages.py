"""Every stage of dvc.yaml, called with the flags that dvc.yaml gives it, in one process, on models built in code.

The quickstart's own loop runs as processes in tests/test_loop.py (slow); here stand its legal extremes: no labelled pair at all, a
collection with test judgements alone, filters that let nothing pass.
"""

from __future__ import annotations

import importlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import set_values
from dvc_file import in_order, stages
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "sample_pairs": {"pairs": 12},
    "retriever": {"layers": 1, "dimensions": 16, "query_tokens": 16, "document_tokens": 32},
    "train_generator": {"epochs": 1},
    "train_filter_encoder": {"layers": 1, "steps": 2, "batch_size": 4, "max_length": 32, "dev_documents": 4},
    "build_baselines": {"dense_max_length": 32},
    "generate_queries": {"sampled_documents": 12, "queries_per_document": 2, "max_new_tokens": 8, "batch_size": 8, "temperature": 1.0},
    "filter_queries": {"rules": [{"run": "dense", "k": 40}], "min_words": 1},
    "train_retriever": {"steps": 4, "batch_size": 4, "evaluations": 2, "dev_documents": 6, "training_document_tokens": 32},
    "select_queries": {"epochs": 2, "negatives": 4, "min_spearman": -1.0},
    "build_preferences": {"min_margin": 0.0},
    "train_reward_model": {"epochs": 1, "min_accuracy": 0.0, "min_pairs": 1},
    "improve_generator": {
        "ppo": {"steps": 2, "batch_size": 4, "minibatch_size": 4, "responses": 2, "epochs": 1, "max_new_tokens": 8},
        "group": {"steps": 2, "prompts_per_step": 2, "responses": 2, "updates": 2, "max_new_tokens": 8},
        "dpo": {"batch_size": 4},
    },
    "evaluate_generators": {
        "sampled_documents": 6,
        "max_new_tokens": 8,
        "examples": 3,
        "resamples": 100,
        "training": {"queries": 4, "steps": 2, "batch_size": 2},
    },
    "check_leaks": {"allowed_share": 1.0},
    "choose_champion": {"resamples": 100},
    "evaluate_reranked": {"rerank_depth": 5, "resamples": 100},
    "compare_rounds": {"resamples": 100},
}


@pytest.fixture
def loop(
    collection: Path,
    tiny_encoder: Path,
    tiny_cross_encoder: Path,
    tiny_generator: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, dict[str, Any]]]:
    """Runs every stage in a project of its own; returns the rows of the comparison by system."""
    project = tmp_path / "project"
    (project / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)

    def run(**changes: Any) -> dict[str, dict[str, Any]]:
        yaml = YAML()
        params = yaml.load((ROOT / "params.yaml").read_text())
        params["prepare_guard"] = {"source": "beir", "path": str(collection), "near_duplicate_threshold": 0.99}
        params["prepare_corpus"] = {"source": "beir", "path": str(collection), "near_duplicate_threshold": 0.99}
        set_values(params, SMALL)
        params["retriever"]["encoder"] = params["train_filter_encoder"]["encoder"] = str(tiny_encoder)
        params["train_generator"]["base"] = str(tiny_generator)
        for name in ("relevance", "final"):
            params["rerankers"][name].update(base=str(tiny_cross_encoder), layers=1, steps=2)
        for section, values in changes.items():
            if section in ("rounds", "updates"):
                params[section] = {}  # replaced, not merged
            set_values(params, {section: values})
        with Path("params.yaml").open("w") as file:
            yaml.dump(params, file)
        everything = stages(Path("params.yaml"))
        for name in in_order(everything):
            words = shlex.split(everything[name]["cmd"])
            module = words[words.index("-m") + 1]
            importlib.import_module(module).main(words[words.index("-m") + 2 :])
        return {row["system"]: row for row in json.loads(Path("out/report/comparison.json").read_text())}

    return run


def rows_of(round_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(f"out/rounds/{round_id}/queries.jsonl").read_text().splitlines()]


def series(stage: str) -> dict[str, Any]:
    return json.loads(Path(f"out/records/{stage}.json").read_text())["series"]  # type: ignore[no-any-return]


def test_the_loop_in_bfloat16_with_a_control(loop: Callable[..., dict[str, dict[str, Any]]]) -> None:
    """Two rounds, and a control of the second: after the same round, with the queries of the generator before."""
    names = {"r2": {"prev": "r1", "generator": "g2"}, "s2": {"prev": "r1", "generator": "g1"}}
    table = loop(precision="bf16", rounds={"r1": {"prev": "r0", "generator": "g1"}, **names})
    assert list(table)[:8] == ["bm25", "dense", "colbert", "fusion", "r0", "r1", "r2", "s2"]
    assert list(table)[8:12] == ["fusion-r0", "fusion-r1", "fusion-r2", "fusion-s2"]
    assert list(table)[12:15] == ["expanded-r1", "expanded-r2", "expanded-s2"]
    assert [name.endswith("+reranker") for name in table] == [False] * 15 + [True]
    assert len(series("r0/train_retriever")["loss"]) > 1
    assert sum(row["status"] == "kept" for row in rows_of("r1")) > 4
    generators = json.loads(Path("metrics/generators.json").read_text())
    assert list(generators) == ["real", "base", "g1", "g2", "untrained"]
    assert {"unseen_top_10", "copied_share", "trained", "trained_p"} <= set(generators["g2"])
    report = Path("out/report/generators.md").read_text()
    assert report.count("## Round") == 3
    assert all(text in report for text in ("| g2 |", "| kept |", "keywords offered", "| nothing |"))
    kept = sorted(path.name for path in Path(".scratch").iterdir())
    assert kept == ["checked.json", "inputs.json"]
    assert Path("out/cache/completions.jsonl").stat().st_size > 0  # what was generated is kept
    (control,) = json.loads(Path("out/report/controls.json").read_text())
    assert (control["system"], control["against"]) == ("r2", "s2")
    assert control["sentence"] in Path("out/report/comparison.md").read_text()
    assert "r2 (queries of g2) against s2" in Path("out/report/report.html").read_text()
    import sqlite3

    with sqlite3.connect("mlflow.db") as store:
        runs = store.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()[0]
    without_record = {"inputs", "write_report", "sync_tracking"}
    assert runs == len(set(stages(Path("params.yaml"))) - without_record) + 4 + 1  # four rounds, and the pipeline


@pytest.mark.parametrize(
    ("kind", "mode", "run", "loss"),
    [
        pytest.param("colbert", "predicted", "retriever", "margin_mse", marks=pytest.mark.slow),
        ("dense", "exact", "fusion", "kl"),
        pytest.param("both", "exact", "fusion", "kl", marks=pytest.mark.slow),
    ],
)
def test_every_switch_of_a_round(loop: Callable[..., dict[str, dict[str, Any]]], kind: str, mode: str, run: str, loss: str) -> None:
    """Relevance, selection, hard negatives, masks, a teacher and a merge change what a round learns from, for both kinds of retriever."""
    fused = run == "fusion"
    distillation = {"distillation": loss, "distillation_weight": 0.5, "contrastive_weight": 1.0, "teacher_temperature": 1.0}
    loop(
        precision="fp32",
        retriever={"kind": kind},
        filter_queries={
            "rules": [{"run": "fusion" if fused else "dense", "k": 40}],
            "keep_relevant": {"threshold": None, "top_share": 0.7},
        },
        select_queries={"mode": mode, "top_share": 0.5},
        mine_negatives={"run": run, "rank_end": 8, "negatives_per_query": 4, "relative_margin": None, "screen": True}
        | {"mask_above": 0.6 if fused else None, "teach": "fusion" if fused else "judge"},
        train_retriever={"distillation": distillation, "negatives": 2, "top_negatives": 1, "merge": "dev" if fused else 0.5},
        build_index={"kind": "hnsw" if kind == "dense" else "exact", "shard_documents": 4},
    )
    searched = json.loads(Path("out/records/r1/evaluate_retriever.json").read_text())["metrics"]
    assert searched["index/vectors"] > 0
    assert searched.get("index/recall_at_10", 1.0) > 0.9
    filtered, selected = (
        [json.loads(line) for line in Path(f"out/rounds/r1/{name}.jsonl").read_text().splitlines()] for name in ("queries", "selected")
    )
    assert "relevance" in {row["reason"] for row in filtered}
    assert all(0 <= row["scores"]["relevance"] <= 1 for row in filtered if row["status"] == "kept")
    kept, chosen = (sum(row["status"] == "kept" for row in rows) for rows in (filtered, selected))
    assert 0 < chosen < kept
    assert all("loss" in row["scores"] for row in selected if row["status"] == "kept")
    mined = [json.loads(line) for line in Path("out/rounds/r1/negatives.jsonl").read_text().splitlines()]
    assert any(row["neg"] for row in mined)
    assert all(len(row["neg_scores"]) == len(row["neg"]) <= 4 for row in mined)
    assert any(row["masked"] for row in mined) == fused
    trained = json.loads(Path("out/records/r1/train_retriever.json").read_text())["metrics"]
    if fused:
        assert all(row["ranks"]["fusion"] <= 40 for row in filtered if row["status"] == "kept")
        assert all(0 <= score <= 1 for row in mined for score in (*row["pos_scores"], *row["neg_scores"]))
        shares = {f"merge_{share:g}_dev_ndcg_at_10" for share in (0, 0.25, 0.5, 0.75, 1)}
        assert shares <= set(trained) if trained["best_step"] else trained["merge"] == 0
    else:
        assert trained["merge"] == (0.5 if trained["best_step"] else 0)
    assert ("spearman" in json.loads(Path("metrics/select_queries-r1.json").read_text())) is (mode == "predicted")
    import mlflow
    import pandas

    served = mlflow.pyfunc.load_model("out/rounds/r1/retriever").predict(
        pandas.DataFrame([("sort rows", "sort")], columns=["query", "document"])
    )
    assert len(served) == 1


def test_one_round_of_queries_from_a_file_that_no_filter_lets_pass(
    loop: Callable[..., dict[str, dict[str, Any]]], tmp_path: Path, collection: Path
) -> None:
    """Round 1 is then round 0; and with no update of the generator every later stage has less to show, and shows that."""
    doc_ids = [json.loads(line)["_id"] for line in (collection / "corpus.jsonl").read_text().splitlines()]
    queries = tmp_path / "queries.jsonl"
    queries.write_text("".join(json.dumps({"text": f"query for {i}", "doc_id": doc_id}) + "\n" for i, doc_id in enumerate(doc_ids)))
    table = loop(
        precision="bf16",
        rounds={"r1": {"prev": "r0", "generator": "g1"}},
        updates={},
        generate_queries={"backend": "file", "file": str(queries), "sampled_documents": 5},
        filter_queries={"min_words": 39},
    )
    names = ["bm25", "dense", "colbert", "fusion", "r0", "r1", "fusion-r0", "fusion-r1", "expanded-r1"]
    assert [name for name in table if "+" not in name] == names
    assert table["expanded-r1"]["ndcg_at_10"] == table["bm25"]["ndcg_at_10"]
    assert "No generator was updated." in Path("out/report/report.html").read_text()
    assert len(rows_of("r1")) == 5
    assert {row["reason"] for row in rows_of("r1")} == {"length"}
    assert table["r1"]["ndcg_at_10"] == table["r0"]["ndcg_at_10"]


def test_expanded_documents_and_every_reranker(loop: Callable[..., dict[str, dict[str, Any]]]) -> None:
    """An arm of expanded BM25 in every round's system, a reranker of kept queries, the likelihood of the query."""
    table = loop(
        precision="fp32",
        rounds={"r1": {"prev": "r0", "generator": "g1"}},
        updates={},
        prepare_final_ranking={"queries": "both", "round": "r1", "kept_queries": 5, "relative_margin": None},
        rerankers={"final": {"layers": 1, "steps": 2, "form": {"kind": "similarity", "max_length": 48, "max_query_length": 16}}},
        evaluate_fusion={"arms": ["bm25", "expanded", "colbert"]},
        evaluate_reranked={"scorers": ["relevance", "final", "likelihood"], "alpha": 0.99},
        likelihood={"rerank_depth": 3, "document_tokens": 12},
    )
    champion = json.loads(Path("out/report/champions.json").read_text())["retriever"]["champion"]
    assert list(table)[-4:] == ["expanded-r1", *(f"{champion}+{name}" for name in ("reranker", "final", "likelihood"))]
    systems = json.loads(Path("out/evaluation/systems.json").read_text())
    assert {name: [*system["arms"]] for name, system in systems.items() if name.startswith("fusion")} == {
        "fusion": ["bm25", "colbert"],
        "fusion-r0": ["bm25", "colbert"],
        "fusion-r1": ["bm25", "expanded", "colbert"],
    }
    assert systems["fusion-r1"]["arms"]["expanded"]["index"] == "out/indexes/expanded/r1"
    appended = json.loads(Path("out/records/r1/index_expanded.json").read_text())["metrics"]
    assert appended["appended"] >= appended["expanded"] > 0
    plain, expanded = (Path(f"out/runs/{name}/guard.jsonl").read_text() for name in ("bm25", "expanded/r1"))
    assert plain == expanded
    rows = [json.loads(line) for line in Path("out/final_ranking/train.jsonl").read_text().splitlines()]
    assert len(rows) > 5
    assert all(row["neg"] for row in rows)
    outcome = json.loads(Path("out/report/reranker.json").read_text())
    assert [row["challenger"] for row in outcome["decisions"]] == ["relevance", "final", "likelihood"]
    assert {*outcome["weights"]} == {"relevance", "final", "likelihood"}


@pytest.mark.filterwarnings("ignore:.*there were no labelled pairs to train it on")
def test_no_labelled_pair_and_test_judgements_only(
    loop: Callable[..., dict[str, dict[str, Any]]], tiny_generator: Path, collection: Path
) -> None:
    """Round 0 is the zero-shot retriever, the generator is the base as it is, and generated dev queries choose."""
    (collection / "qrels/train.tsv").unlink()
    table = loop(precision="fp32", sample_pairs={"pairs": 0}, prepare_dev={"documents": 2, "keep_within": 50})
    assert table["r0"]["ndcg_at_10"] == table["colbert"]["ndcg_at_10"]
    assert Path("out/data/pairs/train.jsonl").read_text() == ""
    import torch
    from safetensors.torch import load_file

    base, written = (load_file(folder / "model.safetensors") for folder in (tiny_generator, Path("out/generators/g1/model/weights")))
    assert all(torch.equal(base[name], written[name]) for name in base)
    held_out = json.loads(Path("out/data/held_out.json").read_text())
    dev = [json.loads(line) for line in Path("out/data/dev.jsonl").read_text().splitlines()]
    assert {row["doc_id"] for row in dev} <= set(held_out)
    assert len(held_out) >= 2
    assert 0 < len(dev) <= 2
    assert not {row["doc_id"] for row in rows_of("r1")} & set(held_out)
    assert json.loads(Path("out/records/r1/train_retriever.json").read_text())["metrics"]["dev_queries"] == len(dev)
    champions = json.loads(Path("out/report/champions.json").read_text())
    assert f"on {len(dev)} generated dev quer" in champions["retriever"]["start"]


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "logged"), [("grpo", "undecided"), ("dpo", "held_out_accuracy")])
def test_other_algorithms_improve_the_generator(loop: Callable[..., dict[str, dict[str, Any]]], algorithm: str, logged: str) -> None:
    loop(improve_generator={"algorithm": algorithm, "group": {"learning_rate": 1e-2, "missing_end_penalty": 1.0}})
    first, second = (Path(f"out/generators/{name}/model/weights/model.safetensors").read_bytes() for name in ("g1", "g2"))
    assert first != second
    record = json.loads(Path("out/records/r1/improve_generator-g2.json").read_text())
    assert record["series"][logged]
    assert record["metrics"]["reward"] is not None
    assert Path("metrics/curves/improve_generator-g2.csv").read_text().startswith("accuracy" if algorithm == "dpo" else "difficulty")


@pytest.mark.slow
@pytest.mark.parametrize(("round_trip", "improves"), [(1.0, True), (0.0, False)])
def test_a_shut_gate_stops_the_reward_model_alone(
    loop: Callable[..., dict[str, dict[str, Any]]], round_trip: float, improves: bool
) -> None:
    ppo = {"rewards": {"reward_model": 1.0, "round_trip": round_trip}, "ppo": {"learning_rate": 1e-2}}
    with pytest.warns(UserWarning, match="did not pass its gate"):
        loop(train_reward_model={"min_pairs": 1000}, improve_generator=ppo)
    first, second = (Path(f"out/generators/{name}/model/weights/model.safetensors").read_bytes() for name in ("g1", "g2"))
    assert (first != second) is improves
