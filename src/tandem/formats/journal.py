"""A file of finished batches, so that a killed run loses at most the batch it was writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

__all__ = ["journalled"]

Batch = list[tuple[str, str]]


def journalled(path: Path, produce: Callable[[int], Iterator[Batch]]) -> Iterator[Batch]:
    """All batches of a deterministic producer: those that ``path`` holds already, then the rest, each kept when done.

    Args:
        path: one JSON line a batch; a last line that was cut off by a kill is dropped.
        produce: called with the number of batches to skip; yields the batches after them, in a fixed order.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    done = _complete_lines(path)
    path.write_bytes(b"".join(done))
    for line in done:
        yield [(key, text) for key, text in orjson.loads(line)]
    with path.open("ab") as journal:
        for batch in produce(len(done)):
            journal.write(orjson.dumps(batch) + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
            yield batch


def _complete_lines(path: Path) -> list[bytes]:
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines
