"""Checkpoint folders of the Hugging Face trainer: which one to go on from after a kill."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson

__all__ = ["latest_checkpoint"]


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
