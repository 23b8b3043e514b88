"""The report's numbers by hand, and its page: complete, by itself, and drawn."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from tandem.records import Difficulty, Document, LabelledPair, PseudoQuery
from tandem.reporting.contents import changes, costs, drift, funnel, histogram, reward_alarms, stage_times
from tandem.reporting.page import render
from tandem.runtime.rounds import RoundPlan, UpdatePlan

ROUNDS = {"r1": RoundPlan(prev="r0", generator="g1"), "r2": RoundPlan(prev="r1", generator="g2")}
UPDATES = {"g2": UpdatePlan(base="g1", round="r1")}


def record(stage: str, round_id: str = "", seconds: float = 60.0, tag: str = "", **metrics: float) -> dict[str, Any]:
    system = {"system/seconds": seconds, "system/cpu_seconds": seconds, "system/peak_memory_mb": 100.0}
    return {"stage": stage, "round": round_id, "metrics": {**system, **metrics}, "series": {}, "tags": {"dvc.stage": tag}}


def generated(text: str, doc_id: str, status: Any = "kept", reason: str = "") -> PseudoQuery:
    return PseudoQuery(query_id=text, text=text, doc_id=doc_id, status=status, reason=reason)


def test_what_a_round_cost() -> None:
    """A minute each. r0: training. r1: its own training, filtering and generating, the generator's, the filter's encoder: 5.

    r2: 3 of its own, 3 of round 1, PPO, the fine-tuned generator, the filter's encoder: 9; and the queries of both rounds.
    """
    records = [record("train_retriever", name) for name in ("r0", "r1", "r2")]
    records += [record("generate_queries", name) for name in ROUNDS]
    records += [record("filter_queries", name, generated=7) for name in ROUNDS]
    records += [record("train_generator"), record("train_filter_encoder"), record("improve_generator", "r1", tag="improve_generator@g2")]
    records += [record("evaluate_retriever", "r1"), record("compare_rounds")]  # measuring is no cost of training
    found = costs(records, ROUNDS, UPDATES)
    assert {name: own["minutes"] for name, own in found.items()} == {"r0": 1.0, "r1": 5.0, "r2": 9.0}
    assert {name: own["queries"] for name, own in found.items()} == {"r0": 0, "r1": 7, "r2": 14}


def test_what_queries_look_like() -> None:
    """'sort a list' shares two of three words with its document, 'Sort  a list' the same; lengths 3, 3: no deviation."""
    documents = [Document(doc_id="d", text="how to sort a table")]
    (row,) = drift({"g": [generated("sort a list", "d"), generated("Sort  a list", "d")]}, documents)
    assert row["mean_words"] == 3.0
    assert row["deviation_words"] == 0.0
    assert row["distinct_share"] == 0.5
    assert row["overlap"] == pytest.approx(2 / 3)
    assert row["first_words"] == "sort 100%"
    (empty,) = drift({"none": []}, documents)
    assert empty["number"] == empty["overlap"] == 0


def test_the_funnel_ends_in_what_was_kept() -> None:
    rows = [generated("a", "d"), *(generated(str(i), "d", "rejected", "bm25") for i in range(2)), generated("c", "d", "rejected", "dense")]
    assert funnel(rows) == [("bm25", 2), ("dense", 1), ("kept", 1)]


def test_bins_hold_every_query() -> None:
    rows = [Difficulty(query_id=str(i), doc_id="d", rank=1, score=0, gap=0, difficulty=float(i)) for i in range(11)]
    bins = histogram(rows, bins=5)
    assert [count for _, count in bins] == [2, 2, 2, 2, 3]
    assert bins[0][0] == 0.0
    assert sum(count for _, count in histogram(rows[:1])) == 1


@pytest.mark.parametrize(
    ("reward", "round_trip", "dev", "alarm"),
    [((0.1, 0.9), (0.4, 0.3), (0.5, 0.5), True), ((0.1, 0.9), (0.4, 0.5), (0.5, 0.4), True), ((0.1, 0.9), (0.4, 0.5), (0.5, 0.5), False)],
)
def test_a_reward_that_rises_while_quality_falls(reward: Any, round_trip: Any, dev: Any, alarm: bool) -> None:
    ppo = record("improve_generator", "r1", tag="improve_generator@g2")
    ppo["series"]["reward"] = [[i, reward[i // 5]] for i in range(10)]
    measured = [record("evaluate_retriever", name, **{"dev/ndcg_at_10": value}) for name, value in zip(ROUNDS, dev, strict=True)]
    generators = {name: {"unseen_top_10": value} for name, value in zip(("g1", "g2"), round_trip, strict=True)}
    (row,) = reward_alarms([ppo, *measured], generators, ROUNDS, UPDATES)
    assert (row["reward_start"], row["reward_end"]) == reward
    assert row["alarm"] is alarm


def test_without_dev_pairs_there_is_no_alarm_from_them() -> None:
    (row,) = reward_alarms([record("evaluate_retriever", "r1")], {}, ROUNDS, UPDATES)
    assert row["dev_before"] is None
    assert not row["alarm"]


def test_queries_that_changed_most() -> None:
    before, after = {"a": 0.1, "b": 0.5, "c": 0.9}, {"a": 0.9, "b": 0.5, "c": 0.2}
    tops = {"a": ["d1"], "b": [], "c": ["d2"]}, {"a": ["d2"], "b": [], "c": ["d1"]}
    queries = {name: name * 3 for name in before}
    found = changes(before, after, tops, queries, {"a": {"d2"}}, {"d1": "one", "d2": "two"}, number=5)
    assert [row["query"] for row in found["gained"]] == ["aaa"]
    assert [row["query"] for row in found["lost"]] == ["ccc"]
    assert found["gained"][0]["documents"][1] == [{"doc_id": "d2", "text": "two", "relevant": True}]


def test_the_page_stands_by_itself() -> None:
    values = {"ndcg_at_10": 0.6, "recall_at_100": 0.9, "mrr_at_10": 0.5, "low": 0.5, "high": 0.7}
    test = {"difference": 0.1, "p_randomisation_holm": 0.01, "p_t_holm": 0.02, "wins": 3, "ties": 4, "losses": 1}
    cost = {"minutes": 1.5, "queries": 7}
    ladder = [
        {"system": "bm25", **values, **test, "minutes": None, "queries": None},
        {"system": "r0", **values, **cost},
        {"system": "r1", **values, **test, **cost},
    ]
    decision = {"challenger": "r1", "champion": "r0", "moved": True, "reason": "its gain <is> significant", "difference": 0.1}
    decision |= {"low": 0.0, "high": 0.2, "p": 0.01, "guard_difference": 0.0}
    page = render(
        ladder=ladder,
        rounds=["r0", "r1"],
        measure="ndcg_at_10",
        baseline="r0",
        funnels={"r1": [("bm25", 3), ("kept", 4)]},
        difficulty={"g2": [(0.0, 3), (0.5, 2)]},
        rewards={"g2": [(1, 0.1), (2, 0.2)]},
        champions={"retriever": {"champion": "r1", "decisions": [decision]}, "reranker": {"champion": "", "decisions": []}},
        controls=["r2 against s2."],
        keep_rates=["36 % kept."],
        drift=drift({"real": [LabelledPair(query_id="q", text="sort <b>", doc_id="d")]}, [Document(doc_id="d", text="sort")]),
        alarms=reward_alarms([], {}, ROUNDS, UPDATES),
        before="r0",
        after="r1",
        changed={"gained": [], "lost": []},
        test_queries=8,
        stages=stage_times([record("train_retriever", "r1", tag="train_retriever@r1")]),
        leaks=[{"check": "test queries", "found": 0, "among": 9, "allowed": 0, "examples": []}],
        not_finite=["improve_generator@g2: reward"],
    )
    assert not re.findall(r"(?:src|href)=[\"'](?!#)", page)
    assert not re.findall(r"<script|@import|url\((?!#)", page)
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        assert 'role="img"' in drawing
        assert "var(--ink)" in drawing
        assert not re.findall(r"(?:fill|stroke): ?#", drawing), "a colour that is not the page's: unreadable in the dark or in the light"
        assert len(re.findall(r"<text", drawing)) == len(re.findall(r"<text[^>]*fill: var\(--ink\)", drawing))
    assert "r1 is champion at ndcg_at_10 0.600" in page
    assert "Significantly better than r0: bm25, r1" in page
    assert "gain &lt;is&gt; significant" in page
