"""What is asked of a store before mlflow is imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tandem.tracking import sync as tracking
from tandem.tracking.record import read_executions
from tandem.tracking.round_runs import view_of
from tandem.tracking.store import has_all, order_rounds, read_champions

Execute = Callable[[str, str, float, Path], Path]


def test_a_store_has_all_only_where_every_run_is_finished_and_current(project: Path, execute: Execute) -> None:
    execute("evaluate_retriever", "r0", 0.5, project)
    assert not has_all(f"sqlite:///{project}/missing.db", [])
    tracking.sync(project / "out/records")
    records = read_executions(project / "out/records")
    assert has_all(tracking.tracking_uri(), [records[0]["record_id"], view_of(records)])
    assert not has_all(tracking.tracking_uri(), [records[0]["record_id"], "another"])
    execute("evaluate_retriever", "r0", 0.6, project)
    tracking.sync(project / "out/records")
    assert not has_all(tracking.tracking_uri(), [records[0]["record_id"]])


def test_any_other_store_is_asked_through_mlflow(project: Path) -> None:
    assert not has_all("http://127.0.0.1:1", [])
    (project / "broken.db").write_text("no database")
    assert not has_all(f"sqlite:///{project}/broken.db", [])


def test_numbers_of_rounds_are_ordered_as_numbers() -> None:
    assert order_rounds({"r10", "r9", "r0", "s"}, ["s"]) == ["r0", "s", "r9", "r10"]


def test_champions_of_both_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"retriever": {"champion": "r1"}, "generator": {}}))
    (tmp_path / "b.json").write_text(json.dumps({"champion": "relevance"}))
    champions = read_champions(tmp_path / "a.json", tmp_path / "b.json")
    assert champions["reranker"] == {"champion": "relevance"}
    assert list(champions) == ["retriever", "generator", "reranker"]
