"""What searches in the end, described: which indexes and models, in which shares, fused how. Nothing here opens one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from tandem.runs import FusionMethod
from tandem.settings import Coefficient, Settings

__all__ = ["BASELINES", "Arm", "System", "describe_system", "model_folder", "read_system"]

BASELINES = ("bm25", "dense", "colbert")


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
