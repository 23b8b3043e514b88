"""C++ extensions that packages compile when they are first used: a compilation that was killed must not stop all later ones."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["drop_stale_locks"]

LONGEST_COMPILATION = 15 * 60  # seconds; one of colbert-ai's takes one or two minutes


def drop_stale_locks(root: Path | None = None) -> list[Path]:
    """Remove the locks of compilations that have ended without a result; torch waits for such a lock for ever.

    Args:
        root: folder of extensions; None takes torch's.

    Returns:
        The locks that were removed: those older than any compilation takes.
    """
    if root is None:
        from torch.utils.cpp_extension import get_default_build_root

        root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    dropped = []
    for lock in root.rglob("lock"):
        if time.time() - lock.stat().st_mtime > LONGEST_COMPILATION:
            lock.unlink(missing_ok=True)
            dropped.append(lock)
    return dropped
