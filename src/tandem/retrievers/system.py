"""What searches in the end, described: which indexes and models, in which shares, fused how. Nothing here opens one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from tandem.runs import FusionMethod
from tandem.settings import Coefficient, Settings

__all__ = [
    "BASELINES",
    "EXPANDED",
    "Arm",
    "System",
    "arm_sources",
    "describe_system",
    "model_folder",
    "read_system",
    "round_source",
    "untrained_arm",
]

BASELINES = ("bm25", "dense", "colbert")
EXPANDED = "expanded"
"""the arm of BM25 over documents with their kept queries; of round r1 its index and runs lie in expanded/r1"""
LEXICAL = ("bm25", EXPANDED)
DENSE = "dense"
"""the arm of dense vectors; of a round r1 of kind both its index lies in r1/dense"""


class Arm(Settings):
    """One searcher of a system."""

    index: str
    """folder of its index, from the project's root"""
    weights: str | None
    """folder of the retriever that the index is of; null for BM25, expanded or not"""
    weight: Coefficient
    """share in the fused score; 0 leaves it out"""


class System(Settings):
    """What searches in the end: arms by name and how their scores are put on one scale."""

    name: str
    arms: dict[str, Arm]
    method: FusionMethod
    folder: str
    """of the model that the registry has of it: the only arm's, or the trained one's"""


def describe_system(name: str, sources: Mapping[str, str], weights: Mapping[str, float], method: FusionMethod) -> System:
    """A system of the pipeline's indexes and models.

    Args:
        name: of the system.
        sources: by arm, the baseline or round whose index and weights it is; see :func:`arm_sources`.
        weights: by arm.
        method: of the fusion.
    """
    arms = {}
    for arm, source in sources.items():
        weights_folder = None if arm in LEXICAL else f"{model_folder(source)}/weights"
        arms[arm] = Arm(index=f"out/indexes/{source}", weights=weights_folder, weight=weights[arm])
    neural = [source for arm, source in sources.items() if arm not in LEXICAL]
    rounds = [source for source in neural if source not in BASELINES]
    return System(name=name, arms=arms, method=method, folder=model_folder([*rounds, *reversed(neural), "bm25"][0]))


def arm_sources(arms: Sequence[str], round_id: str, *, kind: str, generated: bool) -> dict[str, str]:
    """Whose index each arm of a fused system searches: the round's retriever in the place of the untrained one of its kind.

    Args:
        arms: that are wanted; where nothing was generated yet, the expanded one is BM25, which no system has twice.
        round_id: of the round; empty for the untrained system.
        kind: of the round's retriever.
        generated: the round has queries that documents were expanded with.
    """
    sources = {}
    for arm in arms:
        if arm != EXPANDED:
            sources[arm] = round_source(arm, round_id, kind=kind) if round_id else arm
        elif generated:
            sources[arm] = f"{EXPANDED}/{round_id}"
        else:
            sources["bm25"] = "bm25"
    return sources


def round_source(arm: str, round_id: str, *, kind: str) -> str:
    """Whose index an arm searches after a round: the round's retriever in the place of the untrained one of its kind."""
    if kind == "both":
        return {"colbert": round_id, DENSE: f"{round_id}/{DENSE}"}.get(arm, arm)
    return round_id if arm == kind else arm


def untrained_arm(kind: str) -> str:
    """The arm that a retriever of a kind is by itself; of both, the ColBERT."""
    return "colbert" if kind == "both" else kind


def model_folder(source: str) -> str:
    """Where the model of a baseline or of a round lies, from the project's root."""
    source = source.removesuffix(f"/{DENSE}")
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
