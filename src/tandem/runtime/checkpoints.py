"""Checkpoints: which of them training ends with, by dev scores, and which it goes on from after a kill."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import orjson

__all__ = ["choose_step", "latest_checkpoint", "summarise"]


def latest_checkpoint(folder: Path) -> str | None:
    """The newest whole ``checkpoint-<step>`` in ``folder``, or None; a part of one, left by a kill, is deleted.

    The trainer writes ``trainer_state.json`` last and would itself take the highest number, whole or not.
    """
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        try:
            whole[int(orjson.loads((path / "trainer_state.json").read_bytes())["global_step"])] = path
        except (OSError, ValueError, KeyError):
            shutil.rmtree(path)
    return str(whole[max(whole)]) if whole else None


def summarise(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error of the values of dev queries, 0 where there are too few."""
    mean = sum(values) / max(len(values), 1)
    if len(values) < 2:
        return mean, 0.0
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def choose_step(points: Sequence[tuple[int, float, float]]) -> int:
    """The one-standard-error rule (Breiman et al. 1984, section 3.4.3): the last step, unless it is that much worse than the best.

    On 25 dev queries the standard error of nDCG is about .07, and the best of three checkpoints by name alone is mostly the luckiest.

    Args:
        points: (step, mean, standard error of the mean), in order.
    """
    best = max(points, key=lambda point: (point[1], -point[0]))
    last = points[-1]
    return last[0] if last[1] > best[1] - best[2] else best[0]
