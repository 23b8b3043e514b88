"""Everything that the report shows, read from what the stages wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tandem.formats.beir import read_qrels
from tandem.formats.jsonl import read_records
from tandem.formats.texts import CorpusFile, texts_of
from tandem.records import Difficulty, Document, LabelledPair, PseudoQuery, Query
from tandem.reporting.contents import changes, costs, drift, funnel, histogram, reward_alarms, stage_times
from tandem.runtime.rounds import RoundPlan, UpdatePlan

__all__ = ["gather", "round_rows"]

COLUMNS = ("ndcg_at_10", "recall_at_100", "mrr_at_10", "minutes", "queries")


def gather(
    paths: Mapping[str, Path],
    *,
    examples: int,
    rounds: Mapping[str, RoundPlan],
    updates: Mapping[str, UpdatePlan],
    measure: str,
    baseline: str,
) -> dict[str, Any]:
    """The arguments of :func:`tandem.reporting.page.render`.

    Args:
        paths: by flag of the stage.
        examples: queries that gained most and that lost most, each.
        rounds: the pipeline's.
        updates: the pipeline's.
        measure: that the comparison is on.
        baseline: what it is against; where that is no round, queries that changed most are told from round 0 on.
    """
    records, not_finite = _finite([_json(path) for path in paths["records"].rglob("*.json")], ["", "r0", *rounds])
    documents = CorpusFile(paths["corpus"])
    champions = _json(paths["champions"]) | {"reranker": _json(paths["reranker"])}
    spent = costs(records, rounds, updates)
    nothing = {"minutes": None, "queries": None}
    ladder = [row | spent.get(row["system"], nothing) for row in _json(paths["comparison"])]
    queries = {name: read_records(paths["rounds"] / name / "selected.jsonl", PseudoQuery) for name in rounds}
    difficulty = {name: read_records(paths["generators"] / name / "difficulty.jsonl", Difficulty) for name in updates}
    improvements = {r["tags"].get("dvc.stage", "").partition("@")[2] or "update": r for r in records if r["stage"] == "improve_generator"}
    written = {f"{name}, generated": rows for name, rows in queries.items()}
    kept = {f"{name}, kept": [row for row in rows if row.status == "kept"] for name, rows in queries.items()}
    real = read_records(paths["dev"], LabelledPair)
    champion = champions["retriever"]["champion"]
    before = baseline if baseline in rounds else "r0"
    after = champion if champion in {"r0", *rounds} - {before} else [before, *rounds][-1]
    return {
        "ladder": ladder,
        "rounds": ["r0", *rounds],
        "measure": measure,
        "baseline": baseline,
        "controls": [row["sentence"] for row in _json(paths["controls"])],
        "champions": champions,
        "funnels": {name: funnel(rows) for name, rows in queries.items()},
        "keep_rates": _keep_rates(records),
        "drift": drift({"real (dev)": real, **written, **kept}, documents),
        "difficulty": {name: histogram(rows) for name, rows in difficulty.items() if rows},
        "rewards": {name: item["series"].get("reward", []) for name, item in improvements.items()},
        "alarms": reward_alarms(records, _json(paths["generator_rows"]), rounds, updates),
        "before": before,
        "after": after,
        "changed": _changed(paths, documents, (before, after), measure, examples),
        "test_queries": len(_json(paths["evaluation"] / "test/r0.json")[measure]),
        "stages": stage_times(records),
        "leaks": _json(paths["leaks"]),
        "not_finite": not_finite,
    }


def _finite(records: Sequence[dict[str, Any]], rounds: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Records in the order of the rounds, without the values that are null for they were not finite; and the names of those."""
    ordered = sorted(records, key=lambda item: (rounds.index(item["round"]) if item["round"] in rounds else len(rounds), item["stage"]))
    names = []
    for item in ordered:
        place = "@".join(filter(None, (item["stage"], item["round"])))
        names += [f"{place}: {key}" for key, value in item["metrics"].items() if value is None]
        names += [f"{place}: {key}" for key, points in item["series"].items() if any(value is None for _, value in points)]
        item["metrics"] = {key: value for key, value in item["metrics"].items() if value is not None}
        item["series"] = {key: [point for point in points if point[1] is not None] for key, points in item["series"].items()}
    return ordered, names


def round_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a round: what DVC plots over rounds."""
    return [{"round": row["system"], **{key: row[key] for key in COLUMNS}} for row in found["ladder"] if row["system"] in found["rounds"]]


def _changed(
    paths: Mapping[str, Path], documents: Sequence[Document], names: tuple[str, str], measure: str, examples: int
) -> dict[str, list[dict[str, Any]]]:
    relevant: dict[str, set[str]] = {}
    for qrel in read_qrels(paths["test"] / "qrels.tsv"):
        if qrel.relevance > 0:
            relevant.setdefault(qrel.query_id, set()).add(qrel.doc_id)
    before, after = (_json(paths["evaluation"] / f"test/{name}.json")[measure] for name in names)
    first, second = (_json(paths["evaluation"] / f"top/{name}.json") for name in names)
    texts = texts_of(documents)
    listed = {doc_id for top in (first, second) for own in top.values() for doc_id in own} & texts.keys()
    return changes(
        before,
        after,
        (first, second),
        {query.query_id: query.text for query in read_records(paths["test"] / "queries.jsonl", Query)},
        relevant,
        {doc_id: " ".join(texts[doc_id].split())[:90] for doc_id in listed},
        number=examples,
    )


def _keep_rates(records: list[dict[str, Any]]) -> list[str]:
    sentences = []
    for item in records:
        if item["stage"] == "filter_queries":
            metrics = item["metrics"]
            real = f", and {metrics['real_keep_rate']:.0%} of real dev pairs" if "real_keep_rate" in metrics else ""
            sentences.append(f"The filters kept {metrics['keep_rate']:.0%} of the queries of {item['round']}{real}.")
    return sentences


def _json(path: Path) -> Any:
    return orjson.loads(path.read_bytes())
