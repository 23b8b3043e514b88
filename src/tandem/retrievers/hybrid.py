"""A system of several searchers whose results are fused: BM25, a dense encoder, a ColBERT, in shares that were chosen on dev queries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson
from ir_measures import ScoredDoc

from tandem.interfaces import Searcher
from tandem.retrievers.index.building import open_index
from tandem.runs import FusionMethod, fuse_runs, rank_results
from tandem.settings import Coefficient, Settings

__all__ = ["Arm", "Hybrid", "System", "describe_system", "model_folder", "open_system", "open_untrained", "read_system"]

BASELINES = ("bm25", "dense", "colbert")
FUSED_DEPTH = 100  # results of an arm that take part, whatever depth is asked for: a document's rank must not depend on it


class Arm(Settings):
    """One searcher of a system."""

    index: str
    """folder of its index, from the project's root"""
    weights: str | None
    """folder of the retriever that the index is of; null for BM25"""
    weight: Coefficient
    """share in the fused score; 0 leaves it out"""


class System(Settings):
    """What searches in the end: arms by name and how their scores are put on one scale."""

    name: str
    arms: dict[str, Arm]
    method: FusionMethod
    folder: str
    """of the model that the registry has of it: the only arm's, or the trained one's"""


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


def describe_system(name: str, sources: Mapping[str, str], weights: Mapping[str, float], method: FusionMethod) -> System:
    """A system of the pipeline's indexes and models.

    Args:
        name: of the system.
        sources: by arm, the baseline or round whose index and weights it is.
        weights: by arm.
        method: of the fusion.
    """
    arms = {}
    for arm, source in sources.items():
        weights_folder = None if source == "bm25" else f"{model_folder(source)}/weights"
        arms[arm] = Arm(index=f"out/indexes/{source}", weights=weights_folder, weight=weights[arm])
    rounds = [source for source in sources.values() if source not in BASELINES]
    neural = [source for source in sources.values() if source != "bm25"]
    return System(name=name, arms=arms, method=method, folder=model_folder([*rounds, *reversed(neural), *sources.values()][0]))


def model_folder(source: str) -> str:
    """Where the model of a baseline or of a round lies, from the project's root."""
    return f"out/models/baselines/{source}" if source in BASELINES else f"out/rounds/{source}/retriever"


def read_system(champions: Path) -> System:
    """The system that the gate has made champion.

    Args:
        champions: what choose_champion wrote.

    Raises:
        FileNotFoundError: it has not run yet.
    """
    if not champions.is_file():
        raise FileNotFoundError(f"{champions}: no such file, so no champion yet; `dvc repro` chooses one, or name a retriever's weights")
    return System.model_validate(orjson.loads(champions.read_bytes())["retriever"]["system"])


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
