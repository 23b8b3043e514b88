"""A lock that a killed compilation left behind is removed, one of a compilation under way is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tandem.runtime.extensions import drop_stale_locks


def test_stale_locks(tmp_path: Path) -> None:
    locks = [tmp_path / name / "lock" for name in ("killed", "under_way")]
    for lock, age in zip(locks, (3600, 60), strict=True):
        lock.parent.mkdir()
        lock.touch()
        os.utime(lock, (time.time() - age,) * 2)
    assert drop_stale_locks(tmp_path) == [locks[0]]
    assert [lock.exists() for lock in locks] == [False, True]
    assert drop_stale_locks(tmp_path) == []
    assert isinstance(drop_stale_locks(), list)
