"""Every stage that trains or asks an encoder, once in each precision, on models built in code: what is saved answers as was trained."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import QUERIES, TEXTS, set_values
from ruamel.yaml import YAML

from stages import (
    build_baselines,
    build_index,
    evaluate_baselines,
    evaluate_retriever,
    filter_queries,
    index_bm25,
    mine_negatives,
    prepare_ranking,
    score_with_teacher,
    train_filter_encoder,
    train_reranker,
    train_retriever,
)
from tandem.formats.beir import write_qrels
from tandem.formats.jsonl import read_records, write_records
from tandem.records import Document, LabelledPair, MinedRow, PseudoQuery, Query, RankingRow
from tandem.rerankers.reranker import Reranker
from tandem.retrievers.dense import encode_corpus, load_dense
from tandem.retrievers.retriever import build_retriever, load_retriever, vectors_of
from tandem.retrievers.settings import RetrieverSettings

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "retriever": {"layers": 1, "dimensions": 16, "query_tokens": 16, "document_tokens": 32},
    "train_filter_encoder": {"layers": 1, "steps": 4, "batch_size": 3, "max_length": 32, "dev_documents": 4, "learning_rate": 1e-3},
    "train_retriever": {"steps": 4, "batch_size": 3, "evaluations": 2, "dev_documents": 6, "training_document_tokens": 32},
    "build_baselines": {"dense_max_length": 32},
    "filter_queries": {"rules": [{"run": "dense", "k": 40}], "min_words": 1},
    "mine_negatives": {"run": "dense", "rank_end": 5, "negatives_per_query": 2, "relative_margin": None, "screen": True, "teach": "judge"},
    "prepare_ranking": {"negatives_per_query": 3},
}


@pytest.fixture(params=["fp32", "bf16"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stage(
    corpus: list[Document],
    pairs: list[LabelledPair],
    tiny_encoder: Path,
    tiny_cross_encoder: Path,
    precision: str,
    device: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, Any]]:
    """Calls a stage with flags in a project of six documents; gives back the metrics of its record."""
    monkeypatch.chdir(tmp_path)
    write_records(Path("corpus.jsonl"), corpus)
    write_records(Path("train.jsonl"), pairs[:4])
    write_records(Path("dev.jsonl"), pairs[4:])
    write_records(Path("none.jsonl"), [])
    for folder in ("test", "guard"):
        write_records(Path(folder) / "queries.jsonl", [Query(query_id=f"t-{name}", text=text) for name, text in QUERIES.items()])
        from ir_measures import Qrel

        write_qrels(Path(folder) / "qrels.tsv", [Qrel(f"t-{name}", name, 1) for name in QUERIES])
        write_records(Path(folder) / "corpus.jsonl", corpus)
    queries = [PseudoQuery(query_id=f"p-{name}", text=text, doc_id=name) for name, text in QUERIES.items()]
    write_records(Path("queries.jsonl"), queries)
    better = itertools.count(1)  # so that the last checkpoint is chosen
    for module in (train_retriever, train_filter_encoder):
        monkeypatch.setattr(module, "ndcg_at_10", lambda *_: [float(next(better))])
    monkeypatch.setattr(train_reranker, "row_values", lambda *_: {"ndcg_at_10": [float(next(better))]})
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text())
    set_values(params, SMALL)
    params["precision"] = precision
    params["retriever"]["encoder"] = params["train_filter_encoder"]["encoder"] = str(tiny_encoder)
    params["rerankers"]["relevance"].update(base=str(tiny_cross_encoder), layers=1, steps=4)
    params["score_with_teacher"] = {"temperature": 1.0, "batch_size": 4}

    def call(module: Any, *, changes: dict[str, Any] | None = None, **flags: str) -> dict[str, Any]:
        set_values(params, changes or {})
        with Path("params.yaml").open("w") as file:
            yaml.dump(params, file)
        name = module.__name__.removeprefix("stages.")
        flags = {**flags, "record": f"out/records/{name}.json"}
        words = [word for flag, value in flags.items() for word in (f"--{flag.replace('_', '-')}", value)]
        module.main(["--params", "params.yaml", *words])
        return json.loads(Path(f"out/records/{name}.json").read_text())["metrics"]  # type: ignore[no-any-return]

    return call


@pytest.mark.parametrize("kind", ["colbert", "dense"])
def test_a_retriever_is_trained_and_measured(stage: Callable[..., dict[str, Any]], kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tandem.retrievers.training import rounds

    kept: dict[str, Any] = {}
    save = rounds.save_retriever
    monkeypatch.setattr(rounds, "save_retriever", lambda model, folder: (kept.update(model=model), save(model, folder)))
    inputs = {
        "corpus": "corpus.jsonl",
        "train": "train.jsonl",
        "dev": "dev.jsonl",
        "previous_queries": "none.jsonl",
        "queries": "none.jsonl",
    }
    outputs = {"negatives": "none.jsonl", "model": "model", "curve": "curve.csv", "round": "r0"}
    stage(train_retriever, changes={"retriever": {"kind": kind}}, **inputs, **outputs)
    saved = load_retriever(Path("model/weights"))
    for task, texts in (("query", list(QUERIES.values())), ("document", list(TEXTS.values()))):
        for ours, theirs in zip(vectors_of(kept["model"], texts, task=task), vectors_of(saved, texts, task=task), strict=True):  # type: ignore[arg-type]
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)
    start = RetrieverSettings(**YAML(typ="safe").load(Path("params.yaml").read_text())["retriever"])
    before, after = (vectors_of(model, texts, task="document")[0] for model in (build_retriever(start, seed=13, device="cpu"), saved))
    assert float((before - after).abs().max()) > 1e-4  # it has learnt something
    measured = {name: f"{name}.json" for name in ("metrics", "per_query", "dev_values", "guard_values", "top")}
    stage(build_index, corpus="corpus.jsonl", weights="model/weights", index="indexes/r0", name="r0")
    where = {
        "corpus": "corpus.jsonl",
        "test": "test",
        "dev": "dev.jsonl",
        "guard": "guard",
        "weights": "model/weights",
        "round": "r0",
        "index": "indexes/r0",
    }
    measured["runs"] = "runs/r0"
    assert 0 < stage(evaluate_retriever, **where, **measured)["ndcg_at_10"] <= 1


@pytest.mark.filterwarnings("ignore:.*teacher_auc")  # rows without a negative have none
def test_the_filter_the_judge_and_the_teacher(stage: Callable[..., dict[str, Any]], precision: str) -> None:
    """Trained in a precision, then asked in it: by the filter, by the miner of hard negatives, by the one who teaches."""
    pairs = {"corpus": "corpus.jsonl", "train": "train.jsonl", "dev": "dev.jsonl"}
    stage(train_filter_encoder, **pairs, model="encoder")
    stage(index_bm25, corpus="corpus.jsonl", index="indexes/bm25")
    stage(build_index, corpus="corpus.jsonl", weights="encoder", index="indexes/filter", name="filter")
    expected = encode_corpus(load_dense("encoder"), TEXTS)
    np.testing.assert_allclose(np.load("indexes/filter/vectors/00000.npy"), expected, atol=1e-3)  # in half precision
    stage(prepare_ranking, **pairs, index="indexes/bm25", rows="rows.jsonl", dev_rows="dev_rows.jsonl")
    stage(train_reranker, rows="rows.jsonl", dev_rows="dev_rows.jsonl", model="judge", curve="judge.csv", name="relevance")
    wanted = [(QUERIES[name], TEXTS[name]) for name in QUERIES]
    whole, half = (Reranker("judge/weights", bf16=bf16).compute_score(wanted) for bf16 in (False, True))
    np.testing.assert_allclose(half, whole, atol=0.25)
    shared = {"encoder": "encoder", "indexes": "indexes", "reranker": "judge/weights", "kind": "colbert", "previous": "r0"}
    flags = {"filtered": "filtered.jsonl", "funnel": "funnel.csv", "metrics": "filter.json", "round": "r1"}
    stage(filter_queries, corpus="corpus.jsonl", dev="dev.jsonl", queries="queries.jsonl", **shared, **flags)
    asked = half if precision == "bf16" else whole
    judged = [row.scores["relevance"] for row in read_records(Path("filtered.jsonl"), PseudoQuery)]
    np.testing.assert_allclose(judged, 1 / (1 + np.exp(-np.array(asked))), atol=1e-2)
    flags = {"previous_queries": "none.jsonl", "queries": "filtered.jsonl", "negatives": "negatives.jsonl", "round": "r1"}
    shutil.copytree("indexes/filter", "indexes/colbert")  # not asked
    stage(mine_negatives, corpus="corpus.jsonl", train="train.jsonl", initial="none", **shared, **flags)
    mined = read_records(Path("negatives.jsonl"), MinedRow)
    assert all(np.isfinite([*(row.pos_scores or []), *(row.neg_scores or [])]).all() for row in mined)
    rows = {"rows": "rows.jsonl", "dev_rows": "dev_rows.jsonl", "teacher": "judge/weights"}
    metrics = stage(score_with_teacher, **rows, taught="taught.jsonl", metrics="teacher.json")
    assert 0 <= metrics["teacher_ndcg_at_10"] <= 1
    scores = [score for row in read_records(Path("taught.jsonl"), RankingRow) for score in row.pos_scores or []]
    assert all(0 < score < 1 for score in scores)


def test_baselines(stage: Callable[..., dict[str, Any]]) -> None:
    stage(build_baselines, **{name: f"out/models/{name}" for name in ("bm25", "dense", "colbert")})
    where = {"corpus": "corpus.jsonl", "test": "test", "dev": "dev.jsonl", "guard": "guard", "baselines": "out/models"}
    measured = {name: f"{name}.json" for name in ("metrics", "per_query", "dev_values", "guard_values")}
    stage(index_bm25, corpus="corpus.jsonl", index="indexes/bm25")
    for name in ("dense", "colbert"):
        stage(build_index, corpus="corpus.jsonl", weights=f"out/models/{name}/weights", index=f"indexes/{name}", name=name)
    where["indexes"], measured["runs"] = "indexes", "runs"
    metrics = stage(evaluate_baselines, **where, **measured)
    assert all(
        Path(f"runs/{name}/{queries}.jsonl").is_file() for name in ("bm25", "dense", "colbert") for queries in ("test", "dev", "guard")
    )
    assert {"bm25/ndcg_at_10", "dense/ndcg_at_10", "colbert/ndcg_at_10"} <= set(metrics)
