"""What a stage read as MLflow's datasets are: a name, a digest, and how many documents, queries or pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from tandem.records import Difficulty, Document, LabelledPair, MinedRow, PreferencePair, PseudoQuery, Query, RankingRow, Record
from tandem.runtime.scratch import file_identity

__all__ = ["DatasetUse", "describe_dataset"]

# Which kind of record a line is: the first whose fields it has.
UNITS: tuple[tuple[type[Record], str], ...] = (
    (Query, "queries"),
    (LabelledPair, "pairs"),
    (PseudoQuery, "queries"),
    (Difficulty, "queries"),
    (PreferencePair, "pairs"),
    (RankingRow, "rows"),
    (MinedRow, "rows"),
    (Document, "documents"),
)
BLOCK = 1 << 20
GENERATED = "out"  # the folder of all that is generated, which no name repeats


@dataclass(frozen=True)
class DatasetUse:
    """A dataset, and what it was to the stage that read it."""

    name: str
    """its path below ``out``, without an ending: data/corpus, rounds/r1/selected"""
    path: str
    digest: str
    """tells its content from another's; MLflow has room for 36 signs"""
    role: str
    """train, dev, test, corpus: the stage's flag"""
    counts: dict[str, int]
    """documents, queries, pairs or rows, by unit"""


def describe_dataset(path: Path, role: str) -> DatasetUse | None:
    """A JSONL file, or a folder of such as BEIR has them; None of anything else.

    Args:
        path: of the file or folder.
        role: what it is to the stage.
    """
    files = [path] if path.suffix == ".jsonl" and path.is_file() else sorted(path.glob("*.jsonl")) if path.is_dir() else []
    if not files:
        return None
    counts = dict(count for file in files for count in _count(file))
    identities = [file_identity(file) for file in files]
    digest = hashlib.md5(" ".join(identities).encode(), usedforsecurity=False).hexdigest() if path.is_dir() else identities[0]
    return DatasetUse(_name(path), str(path), digest[:36], role, counts)


def _count(file: Path) -> Iterator[tuple[str, int]]:
    """Of what kind the lines of a file are, and how many."""
    with file.open("rb") as lines:
        first = lines.readline()
        total = sum(block.count(b"\n") for block in iter(lambda: lines.read(BLOCK), b"")) + bool(first)
    yield _unit(first), total


def _unit(line: bytes) -> str:
    try:
        keys = set(orjson.loads(line))
    except (orjson.JSONDecodeError, TypeError):
        return "rows"
    for kind, unit in UNITS:
        needed = {name for name, info in kind.model_fields.items() if info.is_required()}
        if needed <= keys <= set(kind.model_fields):
            return unit
    return "rows"


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts if path.suffix == ".jsonl" else path.parts
    start = len(parts) - parts[::-1].index(GENERATED) if GENERATED in parts else max(0, len(parts) - 2)
    return "/".join(parts[start:])
