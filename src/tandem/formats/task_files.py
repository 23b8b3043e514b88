"""Folders of tasks as the pipeline has them: one file of rows, of queries or of keys a task, by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tandem.formats.jsonl import read_records, write_records
from tandem.records import Document, Record, TaskQuery, TaskRow

__all__ = ["read_keys", "read_queries", "read_rows", "write_keys"]

R = TypeVar("R", bound=Record)


def read_rows(folder: Path) -> dict[str, list[TaskRow]]:
    """Training or dev rows by task, in the order of the names."""
    return _read(folder, TaskRow)


def read_queries(folder: Path) -> dict[str, list[TaskQuery]]:
    """Evaluation rows by task."""
    return _read(folder, TaskQuery)


def read_keys(folder: Path) -> dict[str, list[str]]:
    """The keys of each task's corpus, in its order."""
    return {task: [document.text for document in documents] for task, documents in _read(folder, Document).items()}


def write_keys(folder: Path, task: str, keys: Mapping[Any, Sequence[str]]) -> None:
    """Write a task's corpus of each split; one that several splits share is one file with several names. Ids are places."""
    written: dict[int, Path] = {}
    for split, texts in keys.items():
        path = folder / split / f"{task}.jsonl"
        if id(texts) in written:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.hardlink_to(written[id(texts)])
        else:
            write_records(path, [Document(doc_id=str(place), text=key) for place, key in enumerate(texts)])
            written[id(texts)] = path


def _read(folder: Path, record: type[R]) -> dict[str, list[R]]:
    return {path.stem: list(read_records(path, record)) for path in sorted(folder.glob("*.jsonl"))}
