"""Fused systems from the runs of single ones: weights chosen on dev pairs, what each arm contributes, dev values that do not flatter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

import numpy as np
from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.measures import per_query
from tandem.evaluation.weight_grid import ScaledRuns, grid_scores
from tandem.runs import FusionMethod, fuse_runs, rank_results
from tandem.runtime.checkpoints import summarise
from tandem.settings import Depth, SettingError, Settings

__all__ = [
    "UNTRAINED",
    "DevGrid",
    "Fused",
    "FusionSettings",
    "check_arms",
    "contributions",
    "cross_fit_halves",
    "fuse_system",
]

UNTRAINED = "fusion"  # the name of what is fused of untrained systems alone
STEPS = 10  # weights are multiples of a tenth
FIRST = 10
Runs = Mapping[str, Sequence[ScoredDoc]]
Values = dict[str, dict[str, float]]
Chosen = TypeVar("Chosen")


class FusionSettings(Settings):
    """How the runs of single systems are fused."""

    arms: list[Literal["bm25", "expanded", "dense", "colbert"]]
    """of every fused system; a round's retriever takes the place of the arm of its kind; expanded: BM25 over documents with their
    kept queries, beside bm25 or in its place; it is bm25 before any query is generated"""
    method: FusionMethod
    """of putting scores on one scale"""
    weights: Literal["dev", "equal"]
    """dev: chosen on dev pairs, equal ones where these are not a standard error better or there is no dev pair"""
    depth: Depth
    """results of a fused run, a query"""


@dataclass(frozen=True, slots=True)
class Fused:
    """A fused system: its weights, its runs by collection, its per-query values, and each arm's share of the first ten results."""

    weights: dict[str, float]
    runs: dict[str, list[ScoredDoc]]
    values: dict[str, Values]
    shares: dict[str, float]


def fuse_system(arms: Mapping[str, Runs], qrels: Mapping[str, Sequence[Qrel]], settings: FusionSettings) -> Fused:
    """Fuse arms and measure the result.

    Args:
        arms: runs by collection (``test``, ``dev``, ``guard``), by arm.
        qrels: by collection.
        settings: of the fusion.

    Raises:
        SettingError: an arm changes none of the first ten results of any query.
    """
    pairs = [(qrel.query_id, qrel.doc_id) for qrel in qrels["dev"] if qrel.relevance > 0]
    dev_runs = _in(arms, "dev")
    chosen = settings.weights == "dev" and bool(pairs)
    grid = DevGrid(dev_runs, pairs, method=settings.method) if chosen else None
    weights = grid.choose() if grid else _equal(arms)
    scaled = {collection: ScaledRuns(_in(arms, collection), method=settings.method) for collection in qrels}
    runs = {collection: table.fuse(weights, depth=settings.depth) for collection, table in scaled.items()}
    values = {collection: per_query(judgements, runs[collection]) for collection, judgements in qrels.items()}
    if grid:
        values["dev"] = per_query(qrels["dev"], cross_fit_halves(dev_runs, pairs, grid.choose, partial(fuse_runs, method=settings.method)))
    check_arms(scaled["test"])
    return Fused(weights, runs, values, contributions(_in(arms, "test"), runs["test"]))


def _in(arms: Mapping[str, Runs], collection: str) -> dict[str, Sequence[ScoredDoc]]:
    return {name: runs[collection] for name, runs in arms.items()}


def _equal(arms: Mapping[str, object]) -> dict[str, float]:
    return dict.fromkeys(arms, 1 / len(arms))


class DevGrid:
    """The dev score of each dev query under equal weights and under all weights in steps of .1, measured once.

    Args:
        runs: of the dev queries, by arm.
        pairs: (query_id, doc_id) of what is relevant.
        method: of putting scores on one scale.
    """

    def __init__(self, runs: Runs, pairs: Sequence[tuple[str, str]], *, method: FusionMethod) -> None:
        self.weights = [_equal(runs), *_grid(list(runs))]
        self.scores = grid_scores(runs, pairs, self.weights, method=method)

    def choose(self, query_ids: Collection[str] | None = None) -> dict[str, float]:
        """The weights with the highest mean score of some queries; equal ones where the gain is within a standard error.

        A few dev queries tell weights apart by chance: what is chosen among 66 is mostly the luckiest (Breiman et al. 1984, section 3.4.3).

        Args:
            query_ids: of the queries that choose; None for all.
        """
        equal, *others = self.weights
        reference, *measured = self.scores
        asked = [query_id for query_id in reference if query_ids is None or query_id in query_ids]
        best, gain, error = equal, 0.0, 0.0
        for weights, scores in zip(others, measured, strict=True):
            mean, standard_error = summarise([scores[query_id] - reference[query_id] for query_id in asked])
            if mean > gain + 1e-9:
                best, gain, error = weights, mean, standard_error
        return best if gain > error else equal


def _grid(names: Sequence[str], left: int = STEPS) -> Iterator[dict[str, float]]:
    """All shares of so many tenths among the names."""
    if len(names) == 1:
        yield {names[0]: left / STEPS}
        return
    for first in range(left + 1):
        for rest in _grid(names[1:], left - first):
            yield {names[0]: first / STEPS, **rest}


def cross_fit_halves(
    runs: Runs,
    pairs: Sequence[tuple[str, str]],
    choose: Callable[[Collection[str]], Chosen],
    mix: Callable[[Runs, Chosen], list[ScoredDoc]],
) -> list[ScoredDoc]:
    """One run of several, each half of the queries with what is chosen on the other half.

    Dev values of a mixture whose weights the same queries chose would flatter it at the gate.

    Args:
        runs: of the dev queries, by name.
        pairs: (query_id, doc_id) of what is relevant.
        choose: query_ids to the weights that are best on them.
        mix: runs and weights to a run.
    """
    mixed: list[ScoredDoc] = []
    query_ids = sorted({query_id for query_id, _ in pairs})
    halves = set(query_ids[::2]), set(query_ids[1::2])
    for measured, chosen_on in (halves, halves[::-1]):
        mixed += mix(_of(runs, measured), choose(chosen_on))
    return mixed


def _of(runs: Runs, query_ids: set[str]) -> dict[str, list[ScoredDoc]]:
    return {name: [item for item in run if item.query_id in query_ids] for name, run in runs.items()}


def contributions(runs: Runs, fused: Sequence[ScoredDoc]) -> dict[str, float]:
    """Each arm's share of the first ten fused results: how many of them the arm has among its first ten too, the mean over queries."""
    first = _first(fused)
    shares = {}
    for name in runs:
        alone = _first(runs[name])
        overlaps = [len(set(items) & set(alone.get(query_id, ()))) / len(items) for query_id, items in first.items()]
        shares[name] = sum(overlaps) / max(len(overlaps), 1)
    return shares


def check_arms(runs: ScaledRuns) -> None:
    """Make sure that every arm has a say where all have the same weight.

    Raises:
        SettingError: one changes nothing: without it, the first ten of every query are the same.
    """
    weights = _equal(dict.fromkeys(runs.names))
    whole, _ = runs.order(weights, depth=FIRST)
    for name in runs.names if len(runs.names) > 1 and runs.rows else ():
        others, _ = runs.order({other: 1.0 for other in runs.names if other != name}, depth=FIRST)
        if np.array_equal(whole, others):
            raise SettingError("arms", f"{name!r} found, which changes no query's first {FIRST} results; leave it out")


def _first(run: Sequence[ScoredDoc]) -> dict[str, list[str]]:
    return {query_id: [item.doc_id for item in items[:FIRST]] for query_id, items in rank_results(run).items()}
