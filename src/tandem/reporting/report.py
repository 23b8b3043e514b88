"""Everything that the report says, read from what the stages wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tandem.formats.beir import read_qrels
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records
from tandem.records import Difficulty, LabelledPair, PseudoQuery, Query
from tandem.reporting.changes import Changed, SystemResults, changes
from tandem.reporting.costs import Cost, costs
from tandem.reporting.queries import QueryStyle, drift, funnel, histogram
from tandem.reporting.rewards import RewardRow, reward_alarms
from tandem.reporting.stage_records import StageRecord, StageTime, read_stage_records, stage_times
from tandem.runtime.rounds import RoundPlan, UpdatePlan
from tandem.settings import CountOrZero, Settings

__all__ = ["Compared", "Report", "ReportFiles", "ReportSettings", "System", "read_report", "round_rows"]

COLUMNS = ("ndcg_at_10", "recall_at_100", "mrr_at_10")
BEGINNING = 90  # characters of a listed document
Json = Mapping[str, Any]


class ReportSettings(Settings):
    """What the report lists."""

    examples: CountOrZero
    """queries that gained most, and that lost most, each with its documents before and after"""


@dataclass(frozen=True, slots=True)
class Compared:
    """What ``compare_rounds`` compared: the measure, its printed ``label``, and the system that the others were tested against."""

    measure: str
    label: str
    baseline: str


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What the stages wrote, as the report reads it; a field has the name of the stage's flag."""

    corpus: Path
    test: Path
    dev: Path
    evaluation: Path
    rounds: Path
    generators: Path
    comparison: Path
    controls: Path
    champions: Path
    reranker: Path
    generator_rows: Path
    leaks: Path
    records: Path


@dataclass(frozen=True, slots=True)
class System:
    """One row of the comparison, and what training it cost; baselines and reranked systems have no cost.

    ``values`` are the row's, by the columns of :mod:`tandem.evaluation.comparison`; the baseline of the comparison lacks those of the test.
    """

    name: str
    values: Json
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`tandem.reporting.page.render` puts on the page; one more section is one more field, and a part of page.html.

    ``before`` and ``after`` are the two systems whose queries are listed in ``changed``; ``difficulty`` are histograms and ``rewards``
    curves, both by update.
    """

    compared: Compared
    systems: Sequence[System]
    rounds: Sequence[str]
    controls: Sequence[str]
    champions: Mapping[str, Json]
    funnels: Mapping[str, Sequence[tuple[str, int]]]
    keep_rates: Sequence[str]
    drift: Sequence[QueryStyle]
    difficulty: Mapping[str, Sequence[tuple[float, int]]]
    rewards: Mapping[str, Sequence[tuple[int, float]]]
    alarms: Sequence[RewardRow]
    before: str
    after: str
    changed: Mapping[str, Sequence[Changed]]
    test_queries: int
    stages: Sequence[StageTime]
    leaks: Sequence[Json]
    not_finite: Sequence[str]


def read_report(
    files: ReportFiles, settings: ReportSettings, compared: Compared, *, rounds: Mapping[str, RoundPlan], updates: Mapping[str, UpdatePlan]
) -> Report:
    """Read what the stages wrote and compute what the page says of it.

    Args:
        files: to read.
        settings: what is listed.
        compared: by ``compare_rounds``; where the baseline is no round, queries that changed most are told from round 0 on.
        rounds: the pipeline's.
        updates: the pipeline's.
    """
    records = read_stage_records(files.records, ["r0", *rounds])
    documents = Corpus(files.corpus)
    champions = {**_read_json(files.champions), "reranker": _read_json(files.reranker)}
    cost = costs(records, rounds, updates)
    queries = {name: read_records(files.rounds / name / "selected.jsonl", PseudoQuery) for name in rounds}
    difficulty = {name: read_records(files.generators / name / "difficulty.jsonl", Difficulty) for name in updates}
    before = compared.baseline if compared.baseline in rounds else "r0"
    champion = champions["retriever"]["champion"]
    after = champion if champion in {"r0", *rounds} - {before} else [before, *rounds][-1]
    return Report(
        compared=compared,
        systems=[System(row["system"], row, cost.get(row["system"])) for row in _read_json(files.comparison)],
        rounds=["r0", *rounds],
        controls=[row["sentence"] for row in _read_json(files.controls)],
        champions=champions,
        funnels={name: funnel(rows) for name, rows in queries.items()},
        keep_rates=_keep_rates(records),
        drift=drift(_query_sets(queries, read_records(files.dev, LabelledPair)), documents),
        difficulty={name: histogram(rows) for name, rows in difficulty.items() if rows},
        rewards={r.instance or "update": r.series.get("reward", []) for r in records if r.stage == "improve_generator"},
        alarms=reward_alarms(records, _read_json(files.generator_rows), rounds, updates),
        before=before,
        after=after,
        changed=_read_changes(files, documents, (before, after), compared.measure, settings.examples),
        test_queries=len(_read_json(files.evaluation / "test/r0.json")[compared.measure]),
        stages=stage_times(records),
        leaks=_read_json(files.leaks),
        not_finite=[name for record in records for name in record.not_finite],
    )


def round_rows(report: Report) -> list[dict[str, Any]]:
    """One row a round: what DVC plots over rounds."""
    systems = [system for system in report.systems if system.name in report.rounds and system.cost]
    return [
        {"round": system.name, **{key: system.values[key] for key in COLUMNS}, **(system.cost._asdict() if system.cost else {})}
        for system in systems
    ]


def _query_sets(
    queries: Mapping[str, Sequence[PseudoQuery]], real: Sequence[LabelledPair]
) -> dict[str, Sequence[PseudoQuery] | Sequence[LabelledPair]]:
    generated = {f"{name}, generated": rows for name, rows in queries.items()}
    kept = {f"{name}, kept": [row for row in rows if row.status == "kept"] for name, rows in queries.items()}
    return {"real (dev)": real, **generated, **kept}


def _read_changes(files: ReportFiles, documents: Corpus, names: tuple[str, str], measure: str, examples: int) -> dict[str, list[Changed]]:
    relevant: dict[str, set[str]] = {}
    for qrel in read_qrels(files.test / "qrels.tsv"):
        if qrel.relevance > 0:
            relevant.setdefault(qrel.query_id, set()).add(qrel.doc_id)
    before, after = (
        SystemResults(_read_json(files.evaluation / f"test/{name}.json")[measure], _read_json(files.evaluation / f"top/{name}.json"))
        for name in names
    )
    texts = documents.texts
    listed = {doc_id for system in (before, after) for doc_ids in system.top.values() for doc_id in doc_ids} & texts.keys()
    return changes(
        before,
        after,
        {query.query_id: query.text for query in read_records(files.test / "queries.jsonl", Query)},
        relevant,
        {doc_id: " ".join(texts[doc_id].split())[:BEGINNING] for doc_id in listed},
        examples=examples,
    )


def _keep_rates(records: Sequence[StageRecord]) -> list[str]:
    sentences = []
    for record in records:
        if record.stage == "filter_queries":
            metrics = record.metrics
            real = f", and {metrics['real_keep_rate']:.0%} of the real dev queries" if "real_keep_rate" in metrics else ""
            sentences.append(f"The filters kept {metrics['keep_rate']:.0%} of the queries of {record.round}{real}.")
    return sentences


def _read_json(path: Path) -> Any:
    return orjson.loads(path.read_bytes())
