"""Arrays, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tandem.formats.arrays import write_array


def test_an_array_replaces_what_stood_there(tmp_path: Path) -> None:
    for values in (np.zeros((2, 3), dtype=np.float16), np.arange(4)):
        write_array(tmp_path / "deep/a.npy", values)
        read = np.load(tmp_path / "deep/a.npy")
        assert read.dtype == values.dtype
        assert np.array_equal(read, values)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.npy"]
