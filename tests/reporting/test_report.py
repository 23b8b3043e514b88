"""What the report reads of the stages' files."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from ir_measures import Qrel
from report_records import ROUNDS, UPDATES

from tandem.formats.beir import write_qrels
from tandem.formats.jsonl import write_records
from tandem.records import Difficulty, Document, LabelledPair, PseudoQuery, Query
from tandem.reporting.costs import Cost
from tandem.reporting.report import Compared, ReportFiles, ReportSettings, read_report

COMPARED = Compared("ndcg_at_10", "nDCG@10", "r0")
SETTINGS = ReportSettings(examples=1)


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def files(tmp_path: Path) -> ReportFiles:
    """Two rounds and an update over two documents; the second round is champion."""
    files = ReportFiles(**{field.name: tmp_path / field.name for field in fields(ReportFiles)})
    write_records(files.corpus, [Document(doc_id="d1", text="one  text"), Document(doc_id="d2", text="another")])
    write_records(files.test / "queries.jsonl", [Query(query_id="q", text="which one")])
    write_qrels(files.test / "qrels.tsv", [Qrel("q", "d1", 1), Qrel("q", "d2", 0)])
    write_records(files.dev, [LabelledPair(query_id="v", text="one", doc_id="d1")])
    for name, value, top in (("r0", 0.2, "d2"), ("r1", 0.5, "d2"), ("r2", 1.0, "d1")):
        write(files.evaluation / f"test/{name}.json", {"ndcg_at_10": {"q": value}})
        write(files.evaluation / f"top/{name}.json", {"q": [top]})
        write_records(
            files.rounds / name / "selected.jsonl",
            [
                PseudoQuery(query_id="a", text="one text", doc_id="d1", status="kept"),
                PseudoQuery(query_id="b", text="else", doc_id="d2", status="rejected", reason="bm25"),
            ],
        )
    write_records(files.generators / "g2/difficulty.jsonl", [Difficulty(query_id="a", doc_id="d1", rank=1, score=1.0, difficulty=0.5)])
    write(files.comparison, [{"system": name} for name in ("bm25", "r0", "r1", "r2")])
    write(files.controls, [{"sentence": "r2 against s2."}])
    write(files.champions, {"retriever": {"champion": "r2", "decisions": []}})
    write(files.reranker, {"champion": "", "decisions": []})
    write(files.generator_rows, {"g1": {"unseen_top_10": 0.4}, "g2": {"unseen_top_10": 0.3}})
    write(files.leaks, [])
    system = {"system/seconds": 60.0, "system/cpu_seconds": 50.0, "system/peak_memory_mb": 1.0}
    metrics = {**system, "generated": 2, "keep_rate": 0.5, "real_keep_rate": 1.0}
    for stage, name, more in (("filter_queries", "r1", metrics), ("train_retriever", "r0", system)):
        write(files.records / f"{stage}-{name}.json", {"stage": stage, "round": name, "metrics": more, "series": {}})
    ppo = {"stage": "improve_generator", "round": "r1", "tags": {"dvc.stage": "improve_generator@g2"}}
    write(files.records / "ppo.json", {**ppo, "metrics": {**system, "kl": None}, "series": {"reward": [[1, 0.1], [2, 0.4]]}})
    return files


def test_everything_that_the_page_says(files: ReportFiles) -> None:
    report = read_report(files, SETTINGS, COMPARED, rounds=ROUNDS, updates=UPDATES)
    assert [(system.name, system.cost) for system in report.systems][:2] == [("bm25", None), ("r0", Cost(1.0, 0))]
    assert report.funnels["r1"] == [("bm25", 1), ("kept", 1)]
    assert [row.queries for row in report.drift] == ["real (dev)", "r1, generated", "r2, generated", "r1, kept", "r2, kept"]
    assert report.keep_rates == ["The filters kept 50% of the queries of r1, and 100% of the real dev queries."]
    assert report.rewards == {"g2": [(1, 0.1), (2, 0.4)]}
    assert [row.alarm for row in report.alarms] == [True]
    assert sum(count for _, count in report.difficulty["g2"]) == 1
    assert (report.test_queries, report.not_finite) == (1, ["improve_generator@r1: kl"])
    assert (report.before, report.after) == ("r0", "r2")
    (changed,) = report.changed["gained"]
    before, after = changed.documents
    assert [(document.text, document.relevant) for document in (*before, *after)] == [("another", False), ("one text", True)]
    assert report.changed["lost"] == []


@pytest.mark.parametrize(
    ("baseline", "champion", "pair"),
    [("r1", "r2", ("r1", "r2")), ("bm25", "bm25", ("r0", "r2")), ("r2", "r2", ("r2", "r2")), ("fusion", "r1", ("r0", "r1"))],
)
def test_changes_are_told_between_rounds(files: ReportFiles, baseline: str, champion: str, pair: tuple[str, str]) -> None:
    """From the baseline, or round 0 where that is no round, to the champion, or the last round where that is none."""
    write(files.champions, {"retriever": {"champion": champion, "decisions": []}})
    report = read_report(files, SETTINGS, replace(COMPARED, baseline=baseline), rounds=ROUNDS, updates=UPDATES)
    assert (report.before, report.after) == pair
