"""A system of several searchers whose results are fused: BM25, a dense encoder, a ColBERT, in shares that were chosen on dev queries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ir_measures import ScoredDoc

from tandem.interfaces import Searcher
from tandem.retrievers.index.building import open_index
from tandem.retrievers.system import BASELINES, System
from tandem.runs import FusionMethod, fuse_runs, rank_results

__all__ = ["Hybrid", "open_system", "open_untrained"]

FUSED_DEPTH = 100  # results of an arm that take part, whatever depth is asked for: a document's rank must not depend on it


class Hybrid:
    """Searches with every arm and fuses their results.

    Args:
        searchers: the arms by name.
        weights: their shares.
        method: of putting scores on one scale.
    """

    def __init__(self, searchers: Mapping[str, Searcher], weights: Mapping[str, float], *, method: FusionMethod) -> None:
        self.searchers, self.weights, self.method = dict(searchers), dict(weights), method

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank the corpus for each query, given as text by query_id, best first."""
        reach = max(depth, FUSED_DEPTH)
        runs = {name: searcher.search(queries, depth=reach) for name, searcher in self.searchers.items() if self.weights.get(name)}
        fused = rank_results(fuse_runs(runs, self.weights, method=self.method))
        return [item for items in fused.values() for item in items[:depth]]


def open_system(system: System, *, device: str) -> Searcher:
    """Open the indexes of a system's arms; models are loaded when the first query comes."""
    searchers = {
        name: open_index(Path(arm.index), Path(arm.weights) if arm.weights else None, device=device)
        for name, arm in system.arms.items()
        if arm.weight
    }
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
