"""The numbers of the report: costs, funnels, drift of the queries, difficulty, reward against quality, queries that changed most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tandem.records import Difficulty, Document, LabelledPair, PseudoQuery, document_text
from tandem.runtime.rounds import RoundPlan, UpdatePlan
from tandem.text import normalize_query, split_words

__all__ = ["changes", "costs", "drift", "funnel", "histogram", "reward_alarms", "stage_times"]

Record = Mapping[str, Any]


def costs(records: Sequence[Record], rounds: Mapping[str, RoundPlan], updates: Mapping[str, UpdatePlan]) -> dict[str, dict[str, float]]:
    """``minutes`` and ``queries`` that each round's retriever took: its own stages, those of the round before, its generators' lineage.

    Args:
        records: of all stages.
        rounds: the pipeline's.
        updates: the pipeline's.
    """
    own: dict[str, float] = {}
    for item in records:
        key = f"{item['stage']}@{_update_of(item, updates) or item['round']}"
        own[key] = own.get(key, 0.0) + item["metrics"]["system/seconds"]
    queries = {item["round"]: int(item["metrics"]["generated"]) for item in records if item["stage"] == "filter_queries"}

    def spent(stages: Sequence[str], where: str) -> float:
        return sum(own.get(f"{stage}@{where}", 0.0) for stage in stages)

    def of_generator(name: str) -> dict[str, float]:
        if name not in updates:
            return {"train_generator": spent(["train_generator"], "")}
        learnt = ["score_difficulty", "build_preferences", "train_reward_model", "improve_generator"]
        entry = updates[name]
        return {**of_generator(entry.base), **of_round(entry.round), name: spent(learnt, name)}

    def of_round(name: str) -> dict[str, float]:
        parts = {name: spent(["mine_negatives", "train_retriever"], name)}
        if name in rounds:
            parts[name] += spent(["generate_queries", "filter_queries", "select_queries"], name)
            parts |= of_generator(rounds[name].generator)
            prev = rounds[name].prev
            parts |= {prev: of_round(prev)[prev]} if prev in rounds else {}
            parts["filters"] = spent(["train_filter_encoder", "prepare_ranking", "train_reranker"], "")
        return parts

    found = {}
    for name in ["r0", *rounds]:
        prev = rounds[name].prev if name in rounds else ""
        found[name] = {"minutes": sum(of_round(name).values()) / 60, "queries": queries.get(name, 0) + queries.get(prev, 0)}
    return found


def _update_of(item: Record, updates: Mapping[str, Any]) -> str:
    """The update that a record belongs to: DVC's stage name says it (``improve_generator@g2``)."""
    name = str(item["tags"].get("dvc.stage", "")).partition("@")[2]
    return name if name in updates else ""


def funnel(rows: Sequence[PseudoQuery]) -> list[tuple[str, int]]:
    """How many queries each reason took away, most first, and how many were kept, last."""
    reasons = Counter(row.reason or "rejected" for row in rows if row.status == "rejected")
    return [*reasons.most_common(), ("kept", sum(row.status == "kept" for row in rows))]


def drift(sets: Mapping[str, Sequence[PseudoQuery] | Sequence[LabelledPair]], documents: Sequence[Document]) -> list[dict[str, Any]]:
    """What queries look like, one row a set, real ones among them: what a generator drifts away from.

    Returns:
        ``queries``, ``number``, ``mean_words`` and ``deviation_words``, ``distinct_share``, ``overlap`` (mean share of a query's words that
        its document has) and ``first_words`` (the commonest three with their shares).
    """
    asked = {row.doc_id for own in sets.values() for row in own}
    words = {d.doc_id: frozenset(split_words(document_text(d))) for d in documents if d.doc_id in asked}
    rows = []
    for name, own in sets.items():
        texts = [(row.text, row.doc_id) for row in own if row.text]
        split = [split_words(text) for text, _ in texts]
        lengths = [len(each) for each in split]
        mean = sum(lengths) / max(len(lengths), 1)
        overlaps = [
            sum(w in words.get(doc_id, ()) for w in each) / len(each) for each, (_, doc_id) in zip(split, texts, strict=True) if each
        ]
        first = Counter(each[0] for each in split if each)
        rows.append(
            {
                "queries": name,
                "number": len(texts),
                "mean_words": mean,
                "deviation_words": math.sqrt(sum((n - mean) ** 2 for n in lengths) / max(len(lengths), 1)),
                "distinct_share": len({normalize_query(text) for text, _ in texts}) / max(len(texts), 1),
                "overlap": sum(overlaps) / max(len(overlaps), 1),
                "first_words": ", ".join(f"{word} {count / len(texts):.0%}" for word, count in first.most_common(3)),
            }
        )
    return rows


def histogram(rows: Sequence[Difficulty], bins: int = 10) -> list[tuple[float, int]]:
    """How many queries lie in each bin of difficulty, by the bin's lower end; bins are of equal width from lowest to highest."""
    values = [row.difficulty for row in rows]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    width = (high - low) / bins or 1.0
    counts = Counter(min(int((value - low) / width), bins - 1) for value in values)
    return [(low + i * width, counts[i]) for i in range(bins)]


def reward_alarms(
    records: Sequence[Record],
    generators: Mapping[str, Mapping[str, float]],
    rounds: Mapping[str, RoundPlan],
    updates: Mapping[str, UpdatePlan],
) -> list[dict[str, Any]]:
    """For each update of the generator: the reward at its start and end, and what became of what the reward stands for.

    The alarm is raised where the reward rose while the queries bring their document back less often than the base's did, or while dev
    nDCG@10 of the rounds that train on them is lower than that of the rounds that train on the base's: the mark of a hacked reward.
    It is a sign, not a test: the meetings at the gate are the tests.

    Args:
        records: of all stages.
        generators: measures by generator.
        rounds: the pipeline's.
        updates: the pipeline's.
    """
    rewards = {_update_of(r, updates): r["series"].get("reward", []) for r in records if r["stage"] == "improve_generator"}
    dev = {r["round"]: r["metrics"].get("dev/ndcg_at_10") for r in records if r["stage"] == "evaluate_retriever"}

    def quality(generator: str) -> float | None:
        values = [dev[name] for name, entry in rounds.items() if entry.generator == generator and dev.get(name) is not None]
        return sum(values) / len(values) if values else None

    rows = []
    for name, entry in updates.items():
        curve = rewards.get(name) or []
        tail = max(len(curve) // 5, 1)
        start, end = (sum(v for _, v in part) / len(part) if part else 0.0 for part in (curve[:tail], curve[-tail:]))
        before, after = quality(entry.base), quality(name)
        found = [generators.get(g, {}).get("unseen_top_10") for g in (entry.base, name)]
        fell = before is not None and after is not None and after < before
        lost = None not in found and found[1] < found[0]  # type: ignore[operator]
        row = {"update": name, "base": entry.base, "reward_start": start, "reward_end": end, "dev_before": before, "dev_after": after}
        rows.append({**row, "round_trip_before": found[0], "round_trip_after": found[1], "alarm": end > start and (fell or lost)})
    return rows


def changes(
    before: Mapping[str, float],
    after: Mapping[str, float],
    tops: tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]],
    queries: Mapping[str, str],
    relevant: Mapping[str, set[str]],
    beginnings: Mapping[str, str],
    *,
    number: int,
) -> dict[str, list[dict[str, Any]]]:
    """Queries that ``gained`` and ``lost`` most, with the first documents of both systems, relevant ones marked.

    Args:
        before: value by query_id.
        after: value by query_id.
        tops: first doc_ids by query_id, of both.
        queries: text by query_id.
        relevant: doc_ids by query_id.
        beginnings: how each document begins.
        number: of each kind.
    """
    order = sorted(before, key=lambda query_id: (after[query_id] - before[query_id], query_id))
    picked = {"gained": [q for q in reversed(order) if after[q] > before[q]], "lost": [q for q in order if after[q] < before[q]]}

    def shown(query_id: str, top: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        return [{"doc_id": d, "text": beginnings.get(d, ""), "relevant": d in relevant.get(query_id, set())} for d in top.get(query_id, ())]

    return {
        kind: [
            {"query": queries[q], "before": before[q], "after": after[q], "documents": [shown(q, top) for top in tops]}
            for q in ids[:number]
        ]
        for kind, ids in picked.items()
    }


def stage_times(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Run time, processor time and peak memory of each stage, longest first."""
    rows = [
        {
            "stage": "@".join(part for part in (r["stage"], r["tags"].get("dvc.stage", "@").partition("@")[2] or r["round"]) if part),
            "seconds": r["metrics"]["system/seconds"],
            "cpu_seconds": r["metrics"]["system/cpu_seconds"],
            "memory_mb": r["metrics"]["system/peak_memory_mb"],
        }
        for r in records
    ]
    return sorted(rows, key=lambda row: -row["seconds"])
