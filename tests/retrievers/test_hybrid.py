"""Hybrid systems: arms in one search, described by the pipeline's folders and opened from them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from conftest import TEXTS
from makers import retriever_settings

from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.hybrid import FusedRun, FusedRunSettings, Hybrid, open_system, open_untrained
from tandem.retrievers.index.building import IndexSettings, VectorIndex, build_index
from tandem.retrievers.retriever import build_retriever, save_retriever
from tandem.retrievers.system import describe_system, model_folder, read_system
from tandem.runs import fuse_runs, rank_results

QUERIES = {"1": "sort a table by a column", "2": "solve linear equations"}


def test_a_hybrid_is_the_fusion_of_its_arms(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = build_colbert(retriever_settings(tiny_encoder))
    save_retriever(model, Path("out/rounds/r1/retriever/weights"))
    build_index(model, TEXTS, Path("out/indexes/r1"), IndexSettings(kind="exact"), scratch=Path("scratch"), seed=1)
    BM25Index(TEXTS).save(Path("out/indexes/bm25"))
    weights = {"bm25": 0.3, "colbert": 0.7}
    system = describe_system("fusion-r1", {"bm25": "bm25", "colbert": "r1"}, weights, "min_max")
    assert system.folder == "out/rounds/r1/retriever"
    Path("champions.json").write_text(f'{{"retriever": {{"system": {system.model_dump_json()}}}}}')
    opened = open_system(read_system(Path("champions.json")), device="cpu")
    assert isinstance(opened, Hybrid)
    runs = {
        "bm25": BM25Index.load(Path("out/indexes/bm25")).search(QUERIES, depth=100),
        "colbert": VectorIndex(Path("out/indexes/r1"), Path("out/rounds/r1/retriever/weights")).search(QUERIES, depth=100),
    }
    expected = rank_results(fuse_runs(runs, weights, method="min_max"))
    assert opened.search(QUERIES, depth=3) == [item for items in expected.values() for item in items[:3]]


@pytest.mark.parametrize(("teacher_round", "late"), [("previous", "r1"), ("initial", "colbert")])
def test_the_fused_run_has_the_round_before_in_the_place_of_its_kind(
    teacher_round: Literal["previous", "initial"], late: str, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of each arm's first hundred, min-max; what is not asked for is not opened, and the depth changes no score."""
    monkeypatch.chdir(tmp_path)
    lexical = FusedRun(FusedRunSettings(arms=["bm25"], teacher_round="previous"), kind="colbert", previous="r1", device="cpu")
    BM25Index(TEXTS).save(Path("out/indexes/bm25"))
    assert {item.query_id for item in lexical.search(QUERIES, depth=3)} == set(QUERIES)
    settings = {
        "dense": retriever_settings(tiny_encoder, kind="dense"),
        "colbert": retriever_settings(tiny_encoder),
        "r1": retriever_settings(tiny_encoder, dimensions=8),
    }
    for name, setting in settings.items():
        model = build_retriever(setting, seed=1, device="cpu")
        save_retriever(model, Path(model_folder(name)) / "weights")
        build_index(model, TEXTS, Path("out/indexes") / name, IndexSettings(kind="exact"), scratch=Path("scratch"), seed=1)
    fused = FusedRunSettings(arms=["bm25", "dense", "colbert"], teacher_round=teacher_round)
    run = FusedRun(fused, kind="colbert", previous="r1", device="cpu")
    arms = {"bm25": BM25Index(TEXTS).search(QUERIES)}
    for name in ("dense", late):
        arms[name] = VectorIndex(Path("out/indexes") / name, Path(model_folder(name)) / "weights").search(QUERIES, depth=100)
    expected = rank_results(fuse_runs(arms, dict.fromkeys(arms, 1 / 3), method="min_max"))
    assert run.search(QUERIES, depth=1000) == [item for items in expected.values() for item in items]
    assert sum(map(len, expected.values())) == 12
    assert run.search(QUERIES, depth=2) == [item for items in expected.values() for item in items[:2]]


def test_a_round_of_both_kinds_takes_two_places() -> None:
    settings = FusedRunSettings(arms=["bm25", "dense", "colbert"], teacher_round="previous")
    assert FusedRun(settings, kind="both", previous="r1", device="cpu").sources == {"bm25": "bm25", "dense": "r1/dense", "colbert": "r1"}
    assert FusedRun(settings, kind="both", previous="both", device="cpu").sources == {name: name for name in settings.arms}
    arms = describe_system("fusion-r1", {"dense": "r1/dense", "colbert": "r1"}, {"dense": 0.5, "colbert": 0.5}, "min_max").arms
    assert (arms["dense"].index, arms["dense"].weights) == ("out/indexes/r1/dense", arms["colbert"].weights)


def test_an_arm_of_weight_0_is_not_opened() -> None:
    sources = {name: name for name in ("bm25", "dense", "colbert")}
    system = describe_system("fusion", sources, {"bm25": 0, "dense": 0, "colbert": 1}, "min_max")
    with pytest.raises(FileNotFoundError, match=r"out/indexes/colbert: no index in it"):
        open_system(system, device="cpu")


def test_the_untrained_fusion_needs_no_description(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="indexes/bm25"):
        open_untrained(tmp_path / "indexes", tmp_path / "baselines", device="cpu")
    for name in ("bm25", "dense", "colbert"):
        BM25Index(TEXTS).save(tmp_path / "indexes" / name)
    found = rank_results(open_untrained(tmp_path / "indexes", tmp_path / "baselines", device="cpu").search(QUERIES, depth=3))
    alone = rank_results(BM25Index(TEXTS).search(QUERIES, depth=3))
    assert [item.doc_id for item in found["1"]] == [item.doc_id for item in alone["1"]]
