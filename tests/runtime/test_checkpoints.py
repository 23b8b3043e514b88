"""Checkpoints: the one-standard-error rule, by hand; after a kill the newest whole one, and what was half written is gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tandem.runtime.checkpoints import choose_step, latest_checkpoint, summarise


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


def test_mean_and_standard_error_by_hand() -> None:
    """Values 0, 1: mean 1/2, variance 1/2, standard error sqrt(1/2 / 2) = 1/2."""
    assert summarise([0.0, 1.0]) == (0.5, 0.5)
    assert summarise([0.7]) == (0.7, 0.0)
    assert summarise([]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("points", "step"),
    [
        ([(0, 0.5, 0.0), (10, 0.7, 0.0), (20, 0.6, 0.0)], 10),  # without an error the best
        ([(0, 0.5, 0.1), (10, 0.7, 0.2), (20, 0.6, 0.1)], 20),  # within the best one's error the last
        ([(0, 0.7, 0.05), (10, 0.6, 0.3), (20, 0.6, 0.3)], 0),  # the error of the best counts, not the last one's
        ([(0, 0.5, 0.0), (10, 0.5, 0.0)], 0),  # of equals the first
        ([(0, 0.5, 0.1), (10, 0.5, 0.1)], 10),
    ],
)
def test_the_last_step_unless_it_is_worse_by_an_error(points: list[tuple[int, float, float]], step: int) -> None:
    assert choose_step(points) == step
