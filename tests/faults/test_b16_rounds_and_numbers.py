"""Rounds are ordered as in params.yaml; what is not finite is null, named, and ends no report."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tandem.formats.jsonl import write_json
from tandem.formats.tables import write_table
from tandem.reporting.page import format_number
from tandem.reporting.stage_records import parse_record, sort_records
from tandem.tracking.record import record
from tandem.tracking.store import order_rounds, read_rounds


def test_rounds_are_in_the_order_of_params(tmp_path: Path) -> None:
    names = {"r0", "r1", "r2", "r10", "static", "r3"}
    entries = "".join(f"  {name}: {{prev: r0, generator: g1}}\n" for name in ("r1", "r2", "static", "r10"))
    (tmp_path / "params.yaml").write_text(f"rounds:\n{entries}")
    assert order_rounds(names, read_rounds(tmp_path / "params.yaml")) == ["r0", "r1", "r2", "static", "r10", "r3"]
    assert order_rounds({"r10", "r2", "r0"}, read_rounds(tmp_path / "nowhere")) == ["r0", "r2", "r10"]
    rows = [{"round": name, "stage": "s", "metrics": {}, "series": {}} for name in ("r10", "static", "r2", "r0", "")]
    ordered = sort_records([parse_record(row) for row in rows], ["", "r0", "r1", "r2", "static", "r10"])
    assert [row.round for row in ordered] == ["", "r0", "r2", "static", "r10"]


def test_a_round_learns_from_the_one_before_it_first() -> None:
    """out/rounds/r10 is sorted before out/rounds/r9, and of equal queries the first counts."""
    paths = (Path("out/rounds/r9/selected.jsonl"), Path("out/rounds/r10/selected.jsonl"))
    assert list(dict.fromkeys(paths)) == list(paths) != sorted(paths)
    for stage in ("train_retriever", "mine_negatives"):
        assert "dict.fromkeys((paths.previous_queries, paths.queries))" in (Path(__file__).parents[2] / f"stages/{stage}.py").read_text()


def test_a_record_with_numbers_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "out/records/s.json"
    with record("s", {"a": 1}, path, round_id="r1") as run:
        with pytest.warns(UserWarning, match="loss is nan: written as null"):
            run.log({"loss": math.nan, "fine": 2.0})
        with pytest.warns(UserWarning, match="reward is inf: written as null"):
            run.log_series("reward", [(1, 0.5), (2, math.inf)])
    content = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert content["metrics"]["loss"] is None
    assert content["series"]["reward"] == [[1, 0.5], [2, None]]
    cleaned = parse_record(content)
    assert cleaned.not_finite == ("s@r1: loss", "s@r1: reward")
    assert cleaned.metrics["fine"] == 2.0
    assert "loss" not in cleaned.metrics
    assert cleaned.series["reward"] == [(1, 0.5)]


def test_json_and_tables(tmp_path: Path) -> None:
    value: dict[str, Any] = {"a": {"b": math.nan, "c": 1.0}, "d": [1.0, -math.inf]}
    with pytest.warns(UserWarning, match=r"m.json: not finite, written as null: a.b, d.1"):
        write_json(tmp_path / "m.json", value)
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": {"b": None, "c": 1.0}, "d": [1.0, None]}
    write_table(tmp_path / "t.csv", [{"step": 1, "value": math.nan}, {"step": 2, "value": 0.5}], ["step", "value"])
    rows = csv.DictReader((tmp_path / "t.csv").read_text().splitlines())
    assert [row["value"] for row in rows] == ["", "0.5"]


def test_the_page_shows_a_dash() -> None:
    assert format_number(None, "%.3f") == format_number(math.nan, "%.3f") == "\N{EN DASH}"
    assert format_number(0.5, "%.0f", 100) == "50"
