"""Statistics against closed forms and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tandem.evaluation.significance import SignificanceSettings, bootstrap_interval, compare, holm


def test_paired_t_against_its_formula() -> None:
    """t = mean / (sd / sqrt n) of the differences, two-sided with n - 1 degrees of freedom."""
    from scipy.special import stdtr

    rng = np.random.default_rng(0)
    a, b = rng.random(40), rng.random(40)
    difference = b - a
    t = difference.mean() / (difference.std(ddof=1) / math.sqrt(40))
    result = compare({f"{i:02}": v for i, v in enumerate(a)}, {f"{i:02}": v for i, v in enumerate(b)})
    assert result.p_t == pytest.approx(2 * stdtr(39, -abs(t)), abs=1e-9)
    assert result.difference == pytest.approx(difference.mean())


def test_randomisation_against_all_sign_flips() -> None:
    """Ten pairs have 1,024 sign flips: the exact p-value is the share whose mean is at least as far from 0."""
    rng = np.random.default_rng(1)
    difference = rng.normal(0.4, 1.0, 10)
    flips = np.array(list(itertools.product([1, -1], repeat=10))) @ difference / 10
    exact = (np.abs(flips) >= abs(difference.mean()) - 1e-12).mean()
    result = compare(
        {str(i): 0.0 for i in range(10)}, {str(i): v for i, v in enumerate(difference)}, SignificanceSettings(resamples=20_000, seed=0)
    )
    assert result.p_randomisation == pytest.approx(exact, abs=0.015)


def test_false_positive_rate_is_what_it_says() -> None:
    """Two systems equal by construction: p < .05 in about 5 of 100 trials."""
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(100):
        values = rng.normal(0, 1, 50)
        result = compare(
            {str(i): 0.0 for i in range(50)}, {str(i): v for i, v in enumerate(values)}, SignificanceSettings(resamples=500, seed=trial)
        )
        hits += result.p_randomisation < 0.05
    assert hits <= 12


def test_equal_systems() -> None:
    result = compare({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 0.0})
    assert (result.difference, result.p_t, result.p_randomisation, result.ties) == (0.0, 1.0, 1.0, 2)


def test_systems_over_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="'c' first"):
        compare({"a": 1.0}, {"a": 1.0, "c": 0.0})


def test_holm() -> None:
    """.01 * 3, then .02 * 2, then .5; adjusted values never fall."""
    assert holm([0.02, 0.5, 0.01]) == pytest.approx([0.04, 0.5, 0.03])
    assert holm([0.03, 0.03, 0.03]) == pytest.approx([0.09, 0.09, 0.09])
    assert holm([]) == []


def test_bootstrap_interval_near_the_normal_one() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(values.mean() - 1.96 * 0.1, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * 0.1, abs=0.03)
    assert bootstrap_interval([2.0, 2.0]) == (2.0, 2.0)
