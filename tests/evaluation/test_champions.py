"""Who is champion of each role: rounds and baselines, generators, a reranker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tandem.evaluation.champions import ChampionSettings, choose_generator, choose_reranker, choose_retriever, to_markdown
from tandem.runtime.rounds import RoundPlan
from tandem.settings import SettingError

RULE = ChampionSettings(measure="ndcg_at_10", alpha=0.05, equal_within=0.01, guard_tolerance=0.02, min_distinct=0.9, resamples=1000, seed=1)


def values(*numbers: float) -> dict[str, float]:
    return {f"q{i}": number for i, number in enumerate(numbers)}


BASE = values(*[0.5] * 20)
BETTER = values(*[0.7] * 20)
NOISE = values(*[0.5 + 0.2 * (-1) ** i for i in range(20)])


def test_rounds_at_the_gate(tmp_path: Path) -> None:
    rounds = {"r1": RoundPlan(prev="r0", generator="g1"), "r2": RoundPlan(prev="r1", generator="g2")}
    for name, values_of_round in (("r0", BASE), ("r1", BETTER), ("r2", BETTER)):
        for folder in ("dev", "guard"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{name}.json").write_text(json.dumps({"ndcg_at_10": values_of_round}))
        (tmp_path / name).mkdir()
        (tmp_path / name / "generated.jsonl").write_text("{}\n" * 10)
    for folder in ("dev", "guard"):
        (tmp_path / folder / "baselines.json").write_text(json.dumps({"bm25": {"ndcg_at_10": BASE}, "dense": {"ndcg_at_10": BASE}}))
        fused = {name: {"ndcg_at_10": BASE} for name in ("fusion", "fusion-r0", "fusion-r1", "fusion-r2")}
        (tmp_path / folder / "fusion.json").write_text(json.dumps(fused))
    systems = {name: {"folder": f"folder of {name}"} for name in ("bm25", "dense", "r0", "r1", "r2", *fused)}
    paths = (tmp_path / "dev", tmp_path / "guard", tmp_path)
    outcome = choose_retriever(*paths, rounds, systems, RULE, generated=False)
    assert outcome["champion"] == "r1"
    assert {name: model["costs"] for name, model in outcome["models"].items()} == {
        **{name: {"generated_queries": 0} for name in ("bm25", "dense", "fusion", "r0", "fusion-r0")},
        **{name: {"generated_queries": 10} for name in ("r1", "fusion-r1")},
        **{name: {"generated_queries": 20} for name in ("r2", "fusion-r2")},
    }
    assert outcome["folder"] == "folder of r1"
    assert outcome["system"] == systems["r1"]
    assert "| r2 | r1 | +0.000" in to_markdown({"retriever": outcome})
    assert list(outcome["rule"]) == ["alpha", "equal_within", "guard_tolerance", "resamples", "seed"]
    with pytest.raises(SettingError, match=r"^measure: 'map' found, allowed: ndcg_at_10"):
        choose_retriever(*paths, rounds, systems, RULE.model_copy(update={"measure": "map"}), generated=False)


def test_a_generator_that_repeats_itself_is_no_champion() -> None:
    by_generator = {"base": BASE, "g1": BASE, "g2": BETTER}
    rows = {name: {"distinct_share": 1.0} for name in by_generator}
    assert choose_generator(rows, by_generator, RULE)["champion"] == "g2"
    rows["g2"]["distinct_share"] = 0.5
    outcome = choose_generator(rows, by_generator, RULE)
    assert outcome["champion"] == "g1"
    assert "only 50% of its queries are distinct" in outcome["decisions"][0]["reason"]


def test_a_reranker_must_earn_its_place() -> None:
    assert choose_reranker(BASE, {"relevance": BETTER}, RULE)["champion"] == "relevance"
    assert choose_reranker(BASE, {"relevance": NOISE}, RULE)["champion"] == ""


def test_the_second_reranker_meets_the_first() -> None:
    best = values(*[0.9] * 20)
    outcome = choose_reranker(BASE, {"relevance": BETTER, "likelihood": best}, RULE)
    assert outcome["champion"] == "likelihood"
    assert [(row["challenger"], row["champion"], row["moved"]) for row in outcome["decisions"]] == [
        ("relevance", "no reranker", True),
        ("likelihood", "relevance", True),
    ]
    assert choose_reranker(BASE, {"relevance": best, "likelihood": BETTER}, RULE)["champion"] == "relevance"
    assert choose_reranker(BASE, {}, RULE)["champion"] == ""
