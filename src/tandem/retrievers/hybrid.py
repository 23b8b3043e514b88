"""A system of several searchers whose results are fused: BM25, a dense encoder, a ColBERT, in shares that were chosen on dev queries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from ir_measures import ScoredDoc
from pydantic import Field

from tandem.interfaces import Searcher
from tandem.retrievers.index.building import open_index
from tandem.retrievers.settings import Kind
from tandem.retrievers.system import BASELINES, Arm, System, describe_system, round_source
from tandem.runs import FusionMethod, fuse_runs, rank_results
from tandem.settings import Settings

__all__ = ["FusedRun", "FusedRunSettings", "Hybrid", "open_system", "open_untrained"]

FUSED_DEPTH = 100  # results of an arm that take part, whatever depth is asked for: a document's rank must not depend on it


class Hybrid:
    """Searches with every arm and fuses their results.

    Args:
        searchers: the arms by name.
        weights: their shares.
        method: of putting scores on one scale.
        reach: results of an arm that take part; None takes as many as are asked for, and 100 at least.
    """

    def __init__(
        self, searchers: Mapping[str, Searcher], weights: Mapping[str, float], *, method: FusionMethod, reach: int | None = None
    ) -> None:
        self.searchers, self.weights, self.method, self.reach = dict(searchers), dict(weights), method, reach

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank the corpus for each query, given as text by query_id, best first."""
        reach = self.reach or max(depth, FUSED_DEPTH)
        runs = {name: searcher.search(queries, depth=reach) for name, searcher in self.searchers.items() if self.weights.get(name)}
        fused = rank_results(fuse_runs(runs, self.weights, method=self.method))
        return [item for items in fused.values() for item in items[:depth]]


class FusedRunSettings(Settings):
    """The run ``fusion`` of filters, hard negatives and teachers: BM25, dense and ColBERT in equal shares, scaled by min-max."""

    arms: Annotated[list[Literal["bm25", "dense", "colbert"]], Field(min_length=1)]
    """whose scores are added up; one at least"""
    teacher_round: Literal["previous", "initial"]
    """previous: the round before's retriever takes the place of the untrained one of its kind; initial: all are untrained"""


class FusedRun:
    """The run ``fusion`` over a corpus: each arm's first 100 results, fused; indexes are opened when the first query comes.

    Args:
        settings: of the run.
        kind: of the rounds' retriever, which takes the place of the untrained one of its kind, or of both.
        previous: the round before; in the first round the kind itself, for all are untrained.
        device: of the models.
    """

    def __init__(self, settings: FusedRunSettings, *, kind: Kind, previous: str, device: str) -> None:
        self.sources: dict[str, str] = {name: name for name in settings.arms}
        if previous != kind and settings.teacher_round == "previous":
            self.sources = {arm: round_source(arm, previous, kind=kind) for arm in settings.arms}
        self.device = device

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank the corpus for each query; scores lie between 0 and 1 and do not depend on the depth."""
        return self._hybrid.search(queries, depth=depth)

    @cached_property
    def _hybrid(self) -> Hybrid:
        weights = dict.fromkeys(self.sources, 1 / len(self.sources))
        arms = describe_system("fusion", self.sources, weights, "min_max").arms
        return Hybrid({name: _open(arm, self.device) for name, arm in arms.items()}, weights, method="min_max", reach=FUSED_DEPTH)


def open_system(system: System, *, device: str) -> Searcher:
    """Open the indexes of a system's arms; models are loaded when the first query comes."""
    searchers = {name: _open(arm, device) for name, arm in system.arms.items() if arm.weight}
    if len(searchers) == 1:
        return next(iter(searchers.values()))
    return Hybrid(searchers, {name: arm.weight for name, arm in system.arms.items()}, method=system.method)


def open_untrained(indexes: Path, baselines: Path, *, device: str) -> Hybrid:
    """Open the fusion of all untrained systems, each with the same weight: it knows no label and nothing that was generated.

    Args:
        indexes: folder of indexes, one a baseline.
        baselines: folder of their models.
        device: that encodes queries.
    """
    searchers = {
        name: open_index(indexes / name, None if name == "bm25" else baselines / name / "weights", device=device) for name in BASELINES
    }
    return Hybrid(searchers, dict.fromkeys(BASELINES, 1 / len(BASELINES)), method="min_max")


def _open(arm: Arm, device: str) -> Searcher:
    return open_index(Path(arm.index), Path(arm.weights) if arm.weights else None, device=device)
