"""Who meets whom at the gate: rounds as retrievers, the generators that made their queries, a reranker over the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tandem.evaluation.gate import Candidate, as_rows, decide, run_gate
from tandem.runtime.rounds import RoundPlan

__all__ = ["choose_generator", "choose_reranker", "choose_retriever"]


def choose_retriever(dev: Path, guard: Path, folder: Path, *, measure: str, rounds: Mapping[str, RoundPlan], **rule: Any) -> dict[str, Any]:
    """The gate over rounds in their order; the baseline that is best on dev is champion to begin with.

    Baselines are retrievers like any other, and need no training: what does not beat the best of them significantly is not worth having.
    So no baseline beats the champion significantly either. With no dev query nothing can be told apart, and BM25, the first of the
    baselines, stays.

    Args:
        dev: folder of per-query dev values: a file a round, and ``baselines.json`` with values by baseline.
        guard: the same of the guard collection.
        folder: of the rounds, for what each cost: the generated queries that it learnt from, its own and the round's before.
        measure: of both.
        rounds: the pipeline's, with the round before each.
        rule: of :func:`tandem.evaluation.gate.run_gate`.

    Returns:
        ``champion``, ``folder`` (where it is, from the project's root), ``start`` (why the gate began where it did), ``decisions``,
        ``models`` and ``rule``.
    """
    guards = _baselines(guard / "baselines.json", measure)
    baselines = [
        Candidate(name, values, guards.get(name, {}), {"generated_queries": 0})
        for name, values in _baselines(dev / "baselines.json", measure).items()
    ]
    first = max(baselines, key=lambda candidate: _mean(candidate.dev))  # of equal ones the first, which is the cheapest
    generated = {"r0": 0, **{name: _lines(folder / name / "generated.jsonl") for name in rounds}}
    before = {name: entry.prev for name, entry in rounds.items()}
    trained = [
        Candidate(
            name,
            _values(dev / f"{name}.json", measure),
            _values(guard / f"{name}.json", measure),
            {"generated_queries": generated[name] + generated[before.get(name, "r0")]},
        )
        for name in generated
    ]
    champion, decisions = run_gate([first, *trained], **rule)
    means = ", ".join(f"{candidate.name} {_mean(candidate.dev):.3f}" for candidate in baselines)
    start = (
        f"{first.name}, the best baseline on dev ({means})" if first.dev else f"{first.name}: there is no dev query to tell baselines apart"
    )
    folders = {candidate.name: f"out/models/baselines/{candidate.name}" for candidate in baselines}
    folders |= {candidate.name: f"out/rounds/{candidate.name}/retriever" for candidate in trained}
    kept = _kept([*baselines, *trained], rule)
    for name, model in kept["models"].items():
        model["folder"] = folders[name]
    return {"champion": champion, "folder": folders[champion], "start": start, "decisions": as_rows(decisions), **kept}


def _baselines(path: Path, measure: str) -> dict[str, dict[str, float]]:
    systems: dict[str, dict[str, dict[str, float]]] = orjson.loads(path.read_bytes())
    return {name: _of_measure(values, measure) for name, values in systems.items()}


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / max(len(values), 1)


def choose_generator(
    rows: Mapping[str, Mapping[str, float]], values: Mapping[str, Mapping[str, float]], *, min_distinct: float, **rule: Any
) -> dict[str, Any]:
    """The gate over generators in their order: share of a document's queries that come back, over documents no generator learnt from.

    Args:
        rows: measures by generator, ``distinct_share`` among them.
        values: by generator and doc_id; the base model takes no part, for it is no model of the pipeline.
        min_distinct: of the texts; a generator below it repeats itself and may not be champion.
        rule: of :func:`tandem.evaluation.gate.run_gate`.
    """
    candidates = []
    for name, own in values.items():
        share = rows[name]["distinct_share"]
        fault = f"only {share:.0%} of its queries are distinct, {min_distinct:.0%} are needed" if share < min_distinct else ""
        if name != "base":
            candidates.append(Candidate(name, own, fault=fault))
    return _outcome(candidates, rule)


def choose_reranker(name: str, alone: Mapping[str, float], reranked: Mapping[str, float], **rule: Any) -> dict[str, Any]:
    """A reranker is champion if it makes the champion of the retrievers significantly better on dev; else there is none.

    Args:
        name: of the reranker.
        alone: the retriever's dev values by query.
        reranked: those of its first documents in the reranker's order.
        rule: of :func:`tandem.evaluation.gate.decide`.
    """
    candidate = Candidate(name, reranked)
    decision = decide(Candidate("no reranker", alone), candidate, **rule)
    return {"champion": name if decision.moved else "", "decisions": as_rows([decision]), **_kept([candidate], rule)}


def _outcome(candidates: Sequence[Candidate], rule: Mapping[str, Any]) -> dict[str, Any]:
    champion, decisions = run_gate(candidates, **rule)
    return {"champion": champion, "decisions": as_rows(decisions), **_kept(candidates, rule)}


def _kept(candidates: Sequence[Candidate], rule: Mapping[str, Any]) -> dict[str, Any]:
    """What a later pipeline's champion is to be compared with, by the same rule."""
    models = {}
    for own in candidates:
        mean = sum(own.dev.values()) / len(own.dev) if own.dev else None
        tags = {} if mean is None else {"dev": f"{mean:.4f}", "dev.queries": str(len(own.dev))}
        models[own.name] = {"dev": dict(own.dev), "guard": dict(own.guard), "costs": dict(own.costs), "tags": tags}
    return {"models": models, "rule": dict(rule)}


def _values(path: Path, measure: str) -> dict[str, float]:
    return _of_measure(orjson.loads(path.read_bytes()), measure)


def _of_measure(values: Mapping[str, dict[str, float]], measure: str) -> dict[str, float]:
    if measure not in values:
        raise ValueError(f"choose_champion.measure: {measure!r} found, allowed: {', '.join(values)}")
    return values[measure]


def _lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)
