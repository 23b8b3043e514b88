"""Where unfinished work lives: a folder per stage that survives a kill and is found again by the same work."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

__all__ = ["file_identity", "folder_identity", "open_scratch"]

WHOLE = 64 * 2**20  # bytes of the largest file that is read for its identity


@contextmanager
def open_scratch(name: str, *, values: str, inputs: Sequence[Path], owner: bool = True) -> Iterator[Path]:
    """A folder for checkpoints and journals that a rerun of the same work finds again; removed when the work is done.

    The same work is: the same ``name``, the same ``values`` and the same ``inputs``: the same bytes, or for files of more than 64 MiB
    the same size and time. Anything else in the folder is from other work and is deleted first. The folder is ``.scratch/<name>`` under
    the current directory. Of several processes one is the ``owner``, which makes and removes the folder; the others wait for it.
    """
    digest = hashlib.sha256(values.encode())
    for path in inputs:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file} {file_identity(file)}\n".encode())
    folder = Path(".scratch") / name
    mark = folder / "fingerprint"
    if not owner:
        while not mark.exists() or mark.read_text() != digest.hexdigest():
            time.sleep(0.1)
        yield folder
        return
    if not mark.exists() or mark.read_text() != digest.hexdigest():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        mark.write_text(digest.hexdigest())
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def file_identity(file: Path) -> str:
    """The MD5 digest of a file, as DVC has it; of a file of more than 64 MiB its size and time. Each state of a file is read once."""
    state = file.stat()
    return _identity(file.absolute(), state.st_size, state.st_mtime_ns)


def folder_identity(folder: Path) -> str:
    """What tells a folder's content from another's: the names and identities of its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256("\n".join(f"{path.relative_to(folder)} {file_identity(path)}" for path in files).encode()).hexdigest()


@cache
def _identity(file: Path, size: int, modified: int) -> str:
    if size > WHOLE:
        return f"{size}:{modified}"
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
