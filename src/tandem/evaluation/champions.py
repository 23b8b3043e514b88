"""The champion of each role: retrievers over the rounds, the generators that wrote their queries, a reranker over the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import orjson

from tandem.evaluation.fusion import UNTRAINED
from tandem.evaluation.gate import Candidate, Decision, GateSettings, run_gate
from tandem.evaluation.measures import MeasureName
from tandem.runtime.rounds import FIRST_ROUND, RoundPlan
from tandem.settings import SettingError, Share

__all__ = ["ChampionSettings", "ModelValues", "Outcome", "choose_generator", "choose_reranker", "choose_retriever", "to_markdown"]

Values = Mapping[str, float]
SystemDescription = Mapping[str, Any]  # tandem.retrievers.system.System as JSON
NOBODY = "no reranker"
RULE = ("alpha", "equal_within", "guard_tolerance", "resamples", "seed")


class ChampionSettings(GateSettings):
    """The rule of the gate, and what it compares."""

    measure: MeasureName
    """of dev and guard queries"""
    min_distinct: Share
    """a generator with a smaller share of distinct queries is no champion"""


class ModelValues(TypedDict):
    """What a later pipeline's champion is to be compared with: values by dev and guard query, costs, tags of the registry."""

    dev: dict[str, float]
    guard: dict[str, float]
    costs: dict[str, float]
    tags: dict[str, str]
    folder: NotRequired[str]


class Outcome(TypedDict):
    """The gate of one role: ``champion`` is empty where there is none.

    Retrievers have a ``folder``, a ``start`` and the ``system`` that searches too.

    ``start`` says which model was champion to begin with, and why; ``rule`` is that of the gate.
    """

    champion: str
    folder: NotRequired[str]
    system: NotRequired[SystemDescription]
    start: NotRequired[str]
    decisions: list[dict[str, Any]]
    models: dict[str, ModelValues]
    rule: NotRequired[dict[str, float]]


def choose_retriever(
    dev: Path,
    guard: Path,
    folder: Path,
    rounds: Mapping[str, RoundPlan],
    systems: Mapping[str, Mapping[str, Any]],
    settings: ChampionSettings,
    *,
    generated: bool,
) -> Outcome:
    """The gate over systems, each round's retriever alone and then fused; the baseline that is best on dev is the first champion.

    Baselines, the fusion of the untrained ones among them, need no training: what does not beat the best of them significantly is not
    worth having. So no baseline beats the champion significantly either. With no dev query nothing can be told apart, and BM25, the
    first of the baselines, stays.

    Args:
        dev: folder of per-query dev values: a file a round, and ``baselines.json`` and ``fusion.json`` with values by system.
        guard: the same of the guard collection.
        folder: of the rounds, for what each cost: the generated queries of the round and of the round before it.
        rounds: the pipeline's, with the round before each.
        systems: what each system is made of, by name; see :class:`tandem.retrievers.system.System`.
        settings: of the gate.
        generated: whether a generator wrote the dev queries, for there were no labelled ones; the outcome says so.

    Raises:
        SettingError: the values lack the measure.
    """
    dev_values, guard_values = (_read_systems(path, rounds, settings.measure) for path in (dev, guard))
    costs = _count_generated(folder, rounds)
    candidates = {
        name: Candidate(name, values, guard_values.get(name, {}), {"generated_queries": costs.get(name, 0)})
        for name, values in dev_values.items()
    }
    challengers = [candidates[system] for system in costs if system in candidates]
    baselines = [candidate for name, candidate in candidates.items() if name not in costs]
    first = max(baselines, key=lambda candidate: _mean(candidate.dev))  # of equal ones the first, which is the cheapest
    champion, decisions = run_gate([first, *challengers], settings)
    outcome = _outcome(champion, decisions, [*baselines, *challengers], settings)
    for name, model in outcome["models"].items():
        model["folder"] = systems[name]["folder"]
    system, start = systems[champion], _explain_start(first, baselines, generated=generated)
    return {"champion": champion, "folder": system["folder"], "system": system, "start": start, **outcome}


def _count_generated(folder: Path, rounds: Mapping[str, RoundPlan]) -> dict[str, int]:
    """Generated queries that each system of a round cost, alone and fused, in the order of the rounds."""
    generated = {FIRST_ROUND: 0, **{name: _count_lines(folder / name / "generated.jsonl") for name in rounds}}
    costs = {}
    for name, queries in generated.items():
        previous = rounds[name].prev if name in rounds else FIRST_ROUND
        for system in (name, f"{UNTRAINED}-{name}"):
            costs[system] = queries + generated[previous]
    return costs


def _explain_start(first: Candidate, baselines: Sequence[Candidate], *, generated: bool) -> str:
    if not first.dev:
        return f"{first.name}: there is no dev query to tell baselines apart"
    means = ", ".join(f"{candidate.name} {_mean(candidate.dev):.3f}" for candidate in baselines)
    queries = f"{len(first.dev)} {'generated' if generated else 'labelled'} dev queries"
    return f"{first.name}, the best baseline on {queries} ({means})"


def choose_generator(rows: Mapping[str, Values], values: Mapping[str, Values], settings: ChampionSettings) -> Outcome:
    """The gate over generators in their order, on the share of a document's queries that find it, over documents no generator learnt from.

    Args:
        rows: measures by generator, ``distinct_share`` among them.
        values: by generator and doc_id; the base model takes no part, for it is no model of the pipeline.
        settings: of the gate.
    """
    least, candidates = settings.min_distinct, []
    for name, by_document in values.items():
        share = rows[name]["distinct_share"]
        fault = f"only {share:.0%} of its queries are distinct, {least:.0%} are needed" if share < least else ""
        if name != "base":
            candidates.append(Candidate(name, by_document, fault=fault))
    return _outcome(*run_gate(candidates, settings), candidates, settings)


def choose_reranker(alone: Values, reranked: Mapping[str, Values], settings: GateSettings) -> Outcome:
    """A reranker is champion if it makes the champion of the retrievers significantly better on dev, and the next if it beats that one.

    Args:
        alone: the retriever's dev values by query.
        reranked: those of its first documents in the order of each reranker, by name.
        settings: of the gate.
    """
    candidates = [Candidate(name, values) for name, values in reranked.items()]
    champion, decisions = run_gate([Candidate(NOBODY, alone), *candidates], settings)
    return _outcome("" if champion == NOBODY else champion, decisions, candidates, settings)


def to_markdown(champions: Mapping[str, Outcome]) -> str:
    """Champions by role with every comparison at the gate, as Markdown."""
    lines = ["# Champions", ""]
    for role, outcome in champions.items():
        lines += [f"## {role.capitalize()}: {outcome['champion'] or 'none'}", ""]
        lines += [f"First champion: {outcome['start']}.", ""] if outcome.get("start") else []
        lines += ["| challenger | champion | dev difference [95 %] | p | guard difference | promoted | reason |", "|" + "---|" * 7]
        for row in outcome["decisions"]:
            gain = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
            cells = [row["challenger"], row["champion"], gain, f"{row['p']:.3f}", f"{row['guard_difference']:+.3f}"]
            lines.append("| " + " | ".join([*cells, "yes" if row["moved"] else "no", row["reason"]]) + " |")
        lines.append("")
    return "\n".join(lines)


def _outcome(champion: str, decisions: Sequence[Decision], candidates: Sequence[Candidate], settings: GateSettings) -> Outcome:
    return {
        "champion": champion,
        "decisions": [asdict(decision) for decision in decisions],
        "models": {candidate.name: _model_values(candidate) for candidate in candidates},
        "rule": {key: getattr(settings, key) for key in RULE},
    }


def _model_values(candidate: Candidate) -> ModelValues:
    tags = {"dev": f"{_mean(candidate.dev):.4f}", "dev.queries": str(len(candidate.dev))} if candidate.dev else {}
    return {"dev": dict(candidate.dev), "guard": dict(candidate.guard), "costs": dict(candidate.costs), "tags": tags}


def _mean(values: Values) -> float:
    return sum(values.values()) / max(len(values), 1)


def _read_systems(folder: Path, rounds: Mapping[str, RoundPlan], measure: str) -> dict[str, dict[str, float]]:
    """Values by query of every system: baselines, fused systems, then the rounds in their order."""
    systems: dict[str, dict[str, dict[str, float]]] = {}
    for name in ("baselines", "fusion"):
        systems |= orjson.loads((folder / f"{name}.json").read_bytes())
    for name in (FIRST_ROUND, *rounds):
        systems[name] = orjson.loads((folder / f"{name}.json").read_bytes())
    return {name: _of_measure(values, measure) for name, values in systems.items()}


def _of_measure(values: Mapping[str, dict[str, float]], measure: str) -> dict[str, float]:
    if measure not in values:
        raise SettingError("measure", f"{measure!r} found, allowed: {', '.join(values)}")
    return values[measure]


def _count_lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)
