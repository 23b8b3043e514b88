"""The gate: it moves for a significant gain, for equal quality at less cost, and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tandem.evaluation.champions import choose_generator, choose_reranker, choose_retriever
from tandem.evaluation.gate import Candidate, decide, run_gate, to_markdown
from tandem.runtime.rounds import RoundPlan

RULE: dict[str, Any] = {"alpha": 0.05, "equal_within": 0.01, "guard_tolerance": 0.02, "resamples": 1000, "seed": 1}


def values(*numbers: float) -> dict[str, float]:
    return {f"q{i}": number for i, number in enumerate(numbers)}


BASE = values(*[0.5] * 20)
BETTER = values(*[0.7] * 20)
# +.2 and -.2 in turn: a mean of zero, with an interval far wider than .01
NOISE = values(*[0.5 + 0.2 * (-1) ** i for i in range(20)])


@pytest.mark.parametrize(
    ("challenger", "moved", "reason"),
    [
        (Candidate("b", BETTER), True, "gain on dev is significant"),
        (Candidate("b", NOISE), False, "no significant gain"),
        (Candidate("b", BASE), False, "no significant gain"),
        (Candidate("b", values(*[0.3] * 20)), False, "no significant gain"),
        (Candidate("b", BASE, costs={"queries": 90.0}), True, "cheaper: queries 90 against 100"),
        (Candidate("b", BASE, costs={"queries": 100.0}), False, "no significant gain"),
        (Candidate("b", NOISE, costs={"queries": 90.0}), False, "no significant gain"),
        (Candidate("b", BETTER, guard=values(*[0.4] * 9)), False, "falls on the guard collection by 0.100"),
        (Candidate("b", BETTER, guard=values(*[0.5] * 9)), True, "significant"),
        (Candidate("b", BETTER, guard=values(0.41, *[0.5] * 8)), True, "significant"),  # -.01: within the tolerance, and chance
        (Candidate("b", BETTER, guard=values(0.23, *[0.5] * 8)), False, "guard"),  # -.03: chance, and beyond the tolerance
        (Candidate("b", values(0.9)), False, "not measured on the same dev queries"),
        (Candidate("b", BETTER, fault="it repeats itself"), False, "it repeats itself"),
    ],
)
def test_a_meeting(challenger: Candidate, moved: bool, reason: str) -> None:
    champion = Candidate("a", BASE, guard=values(*[0.5] * 9), costs={"queries": 100.0})
    decision = decide(champion, challenger, **RULE)
    assert (decision.moved, reason in decision.reason) == (moved, True), decision


def test_without_dev_queries_nothing_moves() -> None:
    decision = decide(Candidate("a", {}), Candidate("b", {}), **RULE)
    assert not decision.moved
    assert "no dev query" in decision.reason


def test_the_level_is_shared_by_all_challengers() -> None:
    """Five gains of five queries: p = 2/32 = .0625 stays above any level; of seven: 2/128 = .0156 passes .05 alone, and not .05 / 4."""
    seven = values(*[0.5] * 7)
    gain = values(*[0.6 + i / 100 for i in range(7)])
    assert run_gate([Candidate("a", seven), Candidate("b", gain)], **RULE)[0] == "b"
    others = [Candidate(name, seven) for name in "cde"]
    assert run_gate([Candidate("a", seven), Candidate("b", gain), *others], **RULE)[0] == "a"


def test_challengers_meet_the_champion_of_their_moment() -> None:
    champion, decisions = run_gate([Candidate("a", BASE), Candidate("b", BETTER), Candidate("c", BETTER)], **RULE)
    assert champion == "b"
    assert [(d.champion, d.challenger, d.moved) for d in decisions] == [("a", "b", True), ("b", "c", False)]


def test_rounds_at_the_gate(tmp_path: Path) -> None:
    rounds = {"r1": RoundPlan(prev="r0", generator="g1"), "r2": RoundPlan(prev="r1", generator="g2")}
    for name, own in (("r0", BASE), ("r1", BETTER), ("r2", BETTER)):
        for folder in ("dev", "guard"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{name}.json").write_text(json.dumps({"ndcg_at_10": own}))
        (tmp_path / name).mkdir()
        (tmp_path / name / "generated.jsonl").write_text("{}\n" * 10)
    for folder in ("dev", "guard"):
        (tmp_path / folder / "baselines.json").write_text(json.dumps({"bm25": {"ndcg_at_10": BASE}, "dense": {"ndcg_at_10": BASE}}))
    paths = (tmp_path / "dev", tmp_path / "guard", tmp_path)
    outcome = choose_retriever(*paths, measure="ndcg_at_10", rounds=rounds, **RULE)
    assert outcome["champion"] == "r1"
    assert {name: own["costs"] for name, own in outcome["models"].items()} == {
        **{name: {"generated_queries": 0} for name in ("bm25", "dense", "r0")},
        "r1": {"generated_queries": 10},
        "r2": {"generated_queries": 20},
    }
    assert "| r2 | r1 | +0.000" in to_markdown({"retriever": outcome})
    with pytest.raises(ValueError, match=r"choose_champion\.measure: 'err' found, allowed: ndcg_at_10"):
        choose_retriever(*paths, measure="err", rounds=rounds, **RULE)


def test_a_generator_that_repeats_itself_is_no_champion() -> None:
    own = {"base": BASE, "g1": BASE, "g2": BETTER}
    rows = {name: {"distinct_share": 1.0} for name in own}
    assert choose_generator(rows, own, min_distinct=0.9, **RULE)["champion"] == "g2"
    rows["g2"]["distinct_share"] = 0.5
    outcome = choose_generator(rows, own, min_distinct=0.9, **RULE)
    assert outcome["champion"] == "g1"
    assert "only 50% of its queries are distinct" in outcome["decisions"][0]["reason"]


def test_a_reranker_must_earn_its_place() -> None:
    rule = {**RULE, "equal_within": 0.0}
    assert choose_reranker("relevance", BASE, BETTER, **rule)["champion"] == "relevance"
    assert choose_reranker("relevance", BASE, NOISE, **rule)["champion"] == ""


@pytest.mark.parametrize(("gain", "least", "moves"), [(0.0, 95, False), (0.05, 95, True)])
def test_the_gate_over_a_hundred_trials(gain: float, least: int, moves: bool) -> None:
    """300 queries with a difficulty of their own, noise of .15 in each system (.21 in their difference), clipped to 0 to 1.

    Equal systems: the champion stays in at least 95 trials of 100. One that is better by .05: it moves in at least 95.
    """
    rng = np.random.default_rng(7)
    held = 0
    for trial in range(100):
        easy = rng.beta(2, 2, size=300)
        # Away from the ends, so that clipping takes nothing of the gain.
        champion, challenger = (0.2 + 0.6 * easy + rng.normal(shift, 0.15, size=300) for shift in (0.0, gain))
        sides = (values(*np.clip(own, 0, 1)) for own in (champion, challenger))
        decision = decide(*(Candidate(name, own) for name, own in zip("ab", sides, strict=True)), **{**RULE, "seed": trial})
        held += decision.moved is moves
    assert held >= least
