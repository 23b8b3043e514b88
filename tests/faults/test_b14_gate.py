"""Baselines are candidates: what one beats is no champion, and search, export and the registry follow the gate's report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import TEXTS
from makers import retriever_settings
from typer.testing import CliRunner

from tandem.cli.main import app
from tandem.evaluation.champions import ChampionSettings, choose_retriever
from tandem.evaluation.significance import compare
from tandem.retrievers.bm25 import BM25Settings
from tandem.retrievers.index.building import IndexSettings, build_index
from tandem.retrievers.retriever import Lexical, build_retriever, load_retriever, save_retriever, search
from tandem.retrievers.system import describe_system
from tandem.runtime.rounds import RoundPlan

RULE = ChampionSettings(
    measure="ndcg_at_10", alpha=0.05, equal_within=0.005, guard_tolerance=0.02, min_distinct=0.9, resamples=2000, seed=1
)
ROUNDS = {"r1": RoundPlan(prev="r0", generator="g1")}


def spread(mean: float, number: int = 63) -> dict[str, float]:
    return {f"q{i}": mean + (i % 7 - 3) / 30 for i in range(number)}


SYSTEMS = {
    name: describe_system(name, {"arm": name.removeprefix("fusion-").replace("fusion", "colbert")}, {"arm": 1.0}, "min_max").model_dump()
    for name in ("bm25", "dense", "colbert", "fusion", "r0", "r1", "fusion-r0", "fusion-r1")
}


def gate(folder: Path, **means: float) -> Any:
    values = {name: {"ndcg_at_10": spread(mean) if mean >= 0 else {}} for name, mean in means.items()}
    for kind in ("dev", "guard"):
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / "baselines.json").write_text(json.dumps({name: values[name] for name in ("bm25", "dense", "colbert")}))
        fused = dict.fromkeys(("fusion", "fusion-r0", "fusion-r1"), values["fusion"]) if "fusion" in values else {}
        (folder / kind / "fusion.json").write_text(json.dumps(fused))
        for name in ("r0", "r1"):
            (folder / kind / f"{name}.json").write_text(json.dumps(values[name]))
    (folder / "r1").mkdir(exist_ok=True)
    (folder / "r1/generated.jsonl").write_text("{}\n")
    return choose_retriever(folder / "dev", folder / "guard", folder, ROUNDS, SYSTEMS, RULE, generated=False)


def test_the_quickstart_of_that_day(tmp_path: Path) -> None:
    """Round 0 stayed champion at .655 where the untouched dense encoder had .737, p .001."""
    outcome = gate(tmp_path, bm25=0.695, dense=0.737, colbert=0.638, r0=0.655, r1=0.659)
    assert outcome["champion"] == "dense"
    assert outcome["folder"] == "out/models/baselines/dense"
    assert outcome["start"] == "dense, the best baseline on 63 labelled dev queries (bm25 0.695, dense 0.737, colbert 0.638)"


def test_a_round_below_the_untrained_fusion_is_no_champion(tmp_path: Path) -> None:
    outcome = gate(tmp_path, bm25=0.735, dense=0.737, colbert=0.75, fusion=0.8, r0=0.65, r1=0.76)
    assert outcome["champion"] == "fusion"
    assert outcome["start"].startswith("fusion, the best baseline on ")


def test_a_round_that_beats_the_best_baseline_is_champion(tmp_path: Path) -> None:
    outcome = gate(tmp_path, bm25=0.5, dense=0.6, colbert=0.55, r0=0.58, r1=0.7)
    assert outcome["champion"] == "r1"
    assert outcome["folder"] == "out/rounds/r1/retriever"
    models = outcome["models"]
    for name in ("bm25", "dense", "colbert"):  # and no baseline beats it significantly
        test = compare(models["r1"]["dev"], models[name]["dev"], RULE)
        assert test.difference < 0


def test_without_dev_queries_the_gate_says_so(tmp_path: Path) -> None:
    outcome = gate(tmp_path, bm25=-1, dense=-1, colbert=-1, r0=-1, r1=-1)
    assert outcome["champion"] == "bm25"
    assert "no dev query" in outcome["start"]


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind, folder in (("dense", "out/models/baselines/dense"), ("colbert", "out/rounds/r1/retriever")):
        settings = retriever_settings(tiny_encoder, kind=kind, layers=1, document_tokens=16)
        save_retriever(build_retriever(settings, seed=1, device="cpu"), tmp_path / folder / "weights")
    save_retriever(Lexical(BM25Settings(), "english"), tmp_path / "out/models/baselines/bm25/weights")
    (tmp_path / "out/data").mkdir(parents=True)
    (tmp_path / "out/data/corpus.jsonl").write_text("".join(json.dumps({"doc_id": n, "text": t}) + "\n" for n, t in TEXTS.items()))
    (tmp_path / "out/report").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("folder", ["out/models/baselines/bm25", "out/models/baselines/dense", "out/rounds/r1/retriever"])
def test_search_follows_the_champion(project: Path, folder: str) -> None:
    model = load_retriever(project / folder / "weights")
    build_index(model, TEXTS, project / "index", IndexSettings(kind="exact"), scratch=project / "scratch", seed=1)
    weights = None if folder.endswith("bm25") else f"{folder}/weights"
    system = {"name": "x", "arms": {"x": {"index": "index", "weights": weights, "weight": 1.0}}, "method": "min_max", "folder": folder}
    champions = {"retriever": {"champion": "x", "folder": folder, "system": system}}
    (project / "out/report/champions.json").write_text(json.dumps(champions))
    shown = CliRunner().invoke(app, ["search", "linear equations", "--number", "2"])
    assert shown.exit_code == 0, shown.output
    expected = search(load_retriever(project / folder / "weights"), TEXTS, {"query": "linear equations"}, depth=2)
    ranked = re.findall(r"^ *\d+ +-?[\d.]+  (\w+)$", shown.stdout, re.MULTILINE)
    assert ranked == [item.doc_id for item in expected]


def test_without_a_champion_search_says_what_to_do(project: Path) -> None:
    error = CliRunner().invoke(app, ["search", "x"]).exception
    assert "out/report/champions.json: no such file, so no champion yet; `dvc repro` chooses one" in str(error)


@pytest.mark.parametrize("folder", ["out/models/baselines/bm25", "out/models/baselines/dense"])
def test_export_of_a_champion_that_is_no_colbert_is_one_line(project: Path, folder: str) -> None:
    (project / "out/report/champions.json").write_text(json.dumps({"retriever": {"champion": "x", "folder": folder}}))
    error = CliRunner().invoke(app, ["export", "stanford", "exported"]).exception
    assert f"{folder}/weights: no ColBERT, as Stanford's format has" in str(error)
    assert not Path("exported").exists()
