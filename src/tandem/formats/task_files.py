"""Folders of tasks as the pipeline has them: one file of rows, of queries or of keys a task, by its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

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


def write_keys(path: Path, keys: Sequence[str]) -> None:
    """Write a corpus; its ids are places."""
    write_records(path, [Document(doc_id=str(place), text=key) for place, key in enumerate(keys)])


def _read(folder: Path, record: type[R]) -> dict[str, list[R]]:
    return {path.stem: list(read_records(path, record)) for path in sorted(folder.glob("*.jsonl"))}
