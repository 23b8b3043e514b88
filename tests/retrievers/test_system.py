"""Systems described by the pipeline's folders: which model stands for one, and what is said where there is none yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.retrievers.system import arm_sources, describe_system, read_system


@pytest.mark.parametrize(
    ("sources", "folder"),
    [
        ({"bm25": "bm25"}, "out/models/baselines/bm25"),
        ({"bm25": "bm25", "dense": "dense", "colbert": "colbert"}, "out/models/baselines/colbert"),  # the last that has weights
        ({"bm25": "bm25", "dense": "dense", "colbert": "r2"}, "out/rounds/r2/retriever"),  # the trained one
        ({"bm25": "bm25", "dense": "r1", "colbert": "colbert"}, "out/rounds/r1/retriever"),
        ({"bm25": "bm25", "expanded": "expanded/r1", "colbert": "r1"}, "out/rounds/r1/retriever"),
        ({"bm25": "bm25", "expanded": "expanded/r1"}, "out/models/baselines/bm25"),
    ],
)
def test_a_system_is_registered_by_its_trained_model(sources: dict[str, str], folder: str) -> None:
    system = describe_system("fusion", sources, dict.fromkeys(sources, 1.0), "min_max")
    assert system.folder == folder
    assert {name: arm.index for name, arm in system.arms.items()} == {name: f"out/indexes/{source}" for name, source in sources.items()}
    assert system.arms["bm25"].weights is None


def test_without_a_champion_it_is_said_what_chooses_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no champion yet; `dvc repro` chooses one"):
        read_system(tmp_path / "champions.json")


@pytest.mark.parametrize(
    ("arms", "round_id", "generated", "sources"),
    [
        (["bm25", "dense", "colbert"], "", False, {"bm25": "bm25", "dense": "dense", "colbert": "colbert"}),
        (["bm25", "colbert"], "r1", True, {"bm25": "bm25", "colbert": "r1"}),
        (["bm25", "expanded", "colbert"], "r1", True, {"bm25": "bm25", "expanded": "expanded/r1", "colbert": "r1"}),
        (["bm25", "expanded", "colbert"], "r0", False, {"bm25": "bm25", "colbert": "r0"}),  # never twice the same
        (["expanded", "colbert"], "", False, {"bm25": "bm25", "colbert": "colbert"}),
        (["expanded", "dense"], "r2", True, {"expanded": "expanded/r2", "dense": "dense"}),
    ],
)
def test_arms_of_a_round(arms: list[str], round_id: str, generated: bool, sources: dict[str, str]) -> None:
    assert arm_sources(arms, round_id, kind="colbert", generated=generated) == sources
    weights = {name: arm.weights for name, arm in describe_system("s", sources, dict.fromkeys(sources, 1.0), "min_max").arms.items()}
    assert {name for name, folder in weights.items() if folder is None} == {*sources} & {"bm25", "expanded"}
