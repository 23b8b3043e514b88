"""The table of systems, and rounds beside their controls."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tandem.evaluation.comparison import (
    COLUMNS,
    ComparisonFiles,
    ComparisonSettings,
    SystemRow,
    compare_controls,
    compare_systems,
    read_systems,
    to_markdown,
    write_comparison,
)
from tandem.evaluation.measures import MEASURES
from tandem.evaluation.significance import Comparison
from tandem.runtime.rounds import RoundPlan
from tandem.settings import SettingError

SETTINGS = ComparisonSettings(measure="ndcg_at_10", baseline="r0", resamples=200, seed=0)


def system(*values: float) -> dict[str, dict[str, float]]:
    return {name: {f"q{i}": value for i, value in enumerate(values)} for name in MEASURES}


def test_table() -> None:
    measures = {"ndcg_at_10": 0.5, "recall_at_10": 0.7, "recall_at_100": 0.9, "mrr_at_10": 0.4}
    test = Comparison(0.01, (0.0, 0.02), 0.2, 0.2, 3, 4, 2)
    rows = [SystemRow("r0", measures, (0.4, 0.6)), SystemRow("r1", measures, (0.4, 0.6), test, p_randomisation_holm=0.3)]
    text = to_markdown(rows, SETTINGS)
    assert "| system | nDCG@10 [95 %] | Recall@10 | Recall@100 | MRR@10 | against r0 | p (Holm) | +/=/- |" in text
    assert "| r0 | 0.500 [0.400, 0.600] | 0.700 | 0.900 | 0.400 |  |  |  |" in text
    assert "| r1 | 0.500 [0.400, 0.600] | 0.700 | 0.900 | 0.400 | +0.010 | 0.300 | 3/4/2 |" in text


def test_the_baseline_is_compared_with_nothing_and_holm_is_over_the_others(tmp_path: Path) -> None:
    systems = {"r0": system(*[0.5] * 8), "same": system(*[0.5] * 8), "better": system(*[0.6 + i / 100 for i in range(8)])}
    rows = compare_systems(systems, SETTINGS)
    assert [row.test is None for row in rows] == [True, False, False]
    better = rows[2]
    assert better.test is not None
    assert better.p_randomisation_holm == pytest.approx(2 * better.test.p_randomisation)
    files = ComparisonFiles(tmp_path / "c.json", tmp_path / "c.csv", tmp_path / "c.md")
    text = write_comparison(rows, files, SETTINGS, notes=["A note."])
    assert files.text.read_text() == text
    assert text.endswith("\nA note.\n")
    first, *_, last = json.loads(files.comparison.read_text())
    assert list(first) == ["system", *MEASURES, "low", "high"]
    assert set(last) == set(COLUMNS)
    table = list(csv.DictReader(files.table.read_text().splitlines()))
    assert list(table[0]) == COLUMNS
    assert (table[0]["difference"], float(table[2]["difference"])) == ("", pytest.approx(0.135))


def test_a_baseline_that_is_not_there() -> None:
    with pytest.raises(SettingError, match=r"^baseline: 'r0' found, allowed: a$"):
        compare_systems({"a": system(0.5)}, SETTINGS)


def test_rounds_that_differ_in_their_generator_alone() -> None:
    rounds = {
        "r1": RoundPlan(prev="r0", generator="g1"),
        "r2": RoundPlan(prev="r1", generator="g2"),
        "s2": RoundPlan(prev="r1", generator="g1"),
        "t2": RoundPlan(prev="r1", generator="g1"),
        "hot": RoundPlan.model_validate({"prev": "r1", "generator": "g1", "generate_queries": {"temperature": 0.9}}),
    }
    systems = {name: system(0.5, 0.5) for name in ("r1", "s2", "t2", "hot")} | {"r2": system(0.7, 0.7)}
    controls = compare_controls(systems, rounds, SETTINGS)
    assert [(control.system, control.against) for control in controls] == [("r2", "s2"), ("r2", "t2")]  # hot differs in its temperature too
    row = controls[0].as_dict()
    assert list(row)[:4] == ["system", "against", "generator", "against_generator"]
    assert row["sentence"] == "r2 (queries of g2) against s2 (of g1), same budget and steps: +0.200 [+0.200, +0.200], p 0.500."


def test_a_system_of_an_earlier_file_stays(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"bm25": {"map": {"q": value}}}))
    (tmp_path / "r0.json").write_text(json.dumps({"map": {"q": 3}}))
    systems = read_systems([tmp_path / "a.json", tmp_path / "b.json"], {"r0": tmp_path / "r0.json"})
    assert systems == {"bm25": {"map": {"q": 1}}, "r0": {"map": {"q": 3}}}
