"""After a kill the newest whole checkpoint is taken, and what was half written is gone."""

from __future__ import annotations

import json
from pathlib import Path

from tandem.runtime.checkpoints import latest_checkpoint


def write(folder: Path, step: int, state: str) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "trainer_state.json").write_text(state)
    return path


def test_none_at_the_start(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "absent") is None


def test_the_newest_whole_one_by_number_not_by_name(tmp_path: Path) -> None:
    nine, ten = (write(tmp_path, step, json.dumps({"global_step": step})) for step in (9, 10))
    broken = write(tmp_path, 11, '{"global_st')
    bare = tmp_path / "checkpoint-12"
    bare.mkdir()
    assert latest_checkpoint(tmp_path) == str(ten)
    assert nine.exists()
    assert not broken.exists()
    assert not bare.exists()
