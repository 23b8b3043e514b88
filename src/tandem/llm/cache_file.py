"""The file of a cache: a JSON line for each batch of values, with whose they are; what a kill cut off is passed over."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

__all__ = ["Batch", "CacheFile", "read_batches"]


class Batch(NamedTuple):
    """A line of a cache's file."""

    model: str
    """whose values they are; empty in files of older versions, which did not say"""
    time: int
    """when they were written, in seconds since 1970; 0 where the file does not say"""
    rows: list[list[Any]]
    """a value each, its key first"""
    content: bytes


class CacheFile:
    """Batches by the line, each written whole as soon as it is there.

    Args:
        path: of the file; None writes nothing and has nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.torn = path is not None and path.exists() and _is_torn(path)

    def read(self) -> Iterator[list[Any]]:
        """The rows of all whole lines, in order."""
        if self.path is not None and self.path.exists():
            for batch in read_batches(self.path):
                yield from batch.rows

    def append(self, rows: Sequence[Sequence[Any]], *, model: str) -> None:
        """Write a batch down, all of it or nothing, and whose it is, for whoever prunes the file."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = orjson.dumps({"model": model, "time": int(time.time()), "rows": rows}, option=orjson.OPT_APPEND_NEWLINE)
        with self.path.open("ab") as file:
            file.write((b"\n" if self.torn else b"") + line)
        self.torn = False


def _is_torn(path: Path) -> bool:
    """Whether the last line has no line break."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return False
        file.seek(-1, 2)
        return file.read(1) != b"\n"


def read_batches(path: Path) -> Iterator[Batch]:
    """The whole lines of a cache's file, in order."""
    with path.open("rb") as file:
        for content in file:
            try:
                value = orjson.loads(content)
            except orjson.JSONDecodeError:
                continue
            batch = value if isinstance(value, dict) else {"model": "", "time": 0, "rows": value}
            yield Batch(batch["model"], batch["time"], batch["rows"], content)
