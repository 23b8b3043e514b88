"""The page: complete, by itself, and drawn."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from report_records import ROUNDS, UPDATES, record

from tandem.records import Document, LabelledPair
from tandem.reporting.changes import Changed, ListedDocument
from tandem.reporting.costs import Cost
from tandem.reporting.page import format_number, render
from tandem.reporting.queries import drift
from tandem.reporting.report import Compared, Report, System, round_rows
from tandem.reporting.rewards import reward_alarms
from tandem.reporting.stage_records import stage_times


@pytest.fixture
def report() -> Report:
    values = {"ndcg_at_10": 0.6, "recall_at_100": 0.9, "mrr_at_10": 0.5, "low": 0.5, "high": 0.7}
    test = {"difference": 0.1, "p_randomisation_holm": 0.01, "p_t_holm": 0.02, "wins": 3, "ties": 4, "losses": 1}
    rows: list[tuple[dict[str, Any], Cost | None]] = [
        ({"system": "bm25", **values, **test}, None),
        ({"system": "r0", **values}, Cost(1.5, 0)),
        ({"system": "r1", **values, **test}, Cost(2.5, 7)),
    ]
    decision = {"challenger": "r1", "champion": "r0", "moved": True, "reason": "its gain <is> significant", "difference": 0.1}
    decision |= {"low": 0.0, "high": 0.2, "p": 0.01, "guard_difference": 0.0}
    changed = Changed("which query", 0.2, 0.9, ([], [ListedDocument("d", "sort", relevant=True)]))
    return Report(
        compared=Compared("ndcg_at_10", "nDCG@10", "r0"),
        systems=[System(row["system"], row, cost) for row, cost in rows],
        rounds=["r0", "r1"],
        controls=["r2 against s2."],
        champions={
            "retriever": {"champion": "r1", "start": "r0, the best baseline", "decisions": [decision]},
            "reranker": {"champion": "", "decisions": []},
        },
        funnels={"r1": [("bm25", 3), ("kept", 4)]},
        keep_rates=["36 % kept."],
        drift=drift({"real": [LabelledPair(query_id="q", text="sort <b>", doc_id="d")]}, [Document(doc_id="d", text="sort")]),
        difficulty={"g2": [(0.0, 3), (0.5, 2)]},
        rewards={"g2": [(1, 0.1), (2, 0.2)]},
        alarms=reward_alarms([], {}, ROUNDS, UPDATES),
        before="r0",
        after="r1",
        changed={"gained": [changed], "lost": []},
        test_queries=8,
        stages=stage_times([record("train_retriever", "r1", instance="r1")]),
        leaks=[{"check": "test queries", "found": 0, "among": 9, "allowed": 0, "examples": []}],
        not_finite=["improve_generator@g2: reward"],
    )


def test_the_page_stands_by_itself(report: Report) -> None:
    page = render(report)
    assert not re.findall(r"(?:src|href)=[\"'](?!#)", page)
    assert not re.findall(r"<script|@import|url\((?!#)", page)
    anchors = set(re.findall(r'href="#(\w+)"', page[page.index("<nav>") : page.index("</nav>")]))
    assert anchors == set(re.findall(r'<section id="(\w+)">', page))
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        assert 'role="img"' in drawing
        assert "var(--ink)" in drawing
        assert not re.findall(r"(?:fill|stroke): ?#", drawing), "a colour that is not the page's: unreadable in the dark or in the light"
        assert len(re.findall(r"<text", drawing)) == len(re.findall(r"<text[^>]*fill: var\(--ink\)", drawing))


def test_the_page_says_who_is_champion_and_why(report: Report) -> None:
    page = render(report)
    assert "<h1>Champion: r1, nDCG@10 0.600</h1>" in page
    assert "Champion retriever: r1, nDCG@10 0.600 [0.500, 0.700], +0.100 against r0 (p 0.010)." in page
    assert "Significantly better than r0: bm25, r1" in page
    assert "Best system on test: bm25, nDCG@10 0.600, +0.100 against r0 (p 0.010)." in page
    assert "Training cost of r1: 2.5 minutes and 7 generated queries." in page
    assert "First champion: r0, the best baseline." in page
    assert "gain &lt;is&gt; significant" in page
    assert '<li class="relevant">d: sort (relevant)</li>' in page
    assert "ndcg_at_10" not in page, "a key where the measure's name belongs"


def test_nothing_is_better_and_nothing_was_updated(report: Report) -> None:
    rows = [replace(system, values={k: v for k, v in system.values.items() if k != "difference"}) for system in report.systems]
    page = render(replace(report, systems=rows, alarms=[], rewards={}, difficulty={}, funnels={}, not_finite=[]))
    assert "No system is significantly better than r0." in page
    assert "No generator was updated." in page
    assert "not finite" not in page
    assert len(re.findall("<svg", page)) == 2


def test_one_row_a_round_for_the_plot(report: Report) -> None:
    first, second = round_rows(report)
    assert first == {"round": "r0", "ndcg_at_10": 0.6, "recall_at_100": 0.9, "mrr_at_10": 0.5, "minutes": 1.5, "queries": 0}
    assert (second["round"], second["queries"]) == ("r1", 7)


def test_what_is_not_finite_is_a_dash() -> None:
    assert format_number(None, "%.3f") == format_number(math.nan, "%.3f") == "\N{EN DASH}"
    assert format_number(0.5, "%.0f", 100) == "50"
