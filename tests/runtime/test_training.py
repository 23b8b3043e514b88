"""The choice of a checkpoint: the one-standard-error rule, by hand."""

from __future__ import annotations

import pytest

from tandem.runtime.training import choose_step, summarise


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
