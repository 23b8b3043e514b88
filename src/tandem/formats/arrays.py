"""Arrays of numbers as NumPy files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["write_array"]


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array; what stood there is replaced when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.draft.npy")
    np.save(draft, array)
    draft.replace(path)
