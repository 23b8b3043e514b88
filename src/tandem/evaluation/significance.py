"""Paired tests of two systems on the same queries: t-test, randomisation test, bootstrap interval, Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tandem.settings import Resamples, Seed, Settings

__all__ = ["DEFAULTS", "Comparison", "SignificanceSettings", "bootstrap_interval", "compare", "holm"]


class SignificanceSettings(Settings):
    """How differences are tested."""

    resamples: Resamples
    """of the randomisation test and of the bootstrap"""
    seed: Seed


DEFAULTS = SignificanceSettings(resamples=10_000, seed=0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger against a baseline: mean difference, its 95 % interval, two p-values, wins, ties and losses."""

    difference: float
    interval: tuple[float, float]
    p_t: float
    p_randomisation: float
    wins: int
    ties: int
    losses: int


def compare(baseline: Mapping[str, float], challenger: Mapping[str, float], settings: SignificanceSettings = DEFAULTS) -> Comparison:
    """Compare two systems' values of one measure, paired by query.

    Args:
        baseline: value by query_id.
        challenger: value by query_id, over the same queries.
        settings: of the randomisation test (sign flips) and of the bootstrap.

    Raises:
        ValueError: the two do not hold the same queries.
    """
    if set(baseline) != set(challenger):
        only = sorted(set(baseline) ^ set(challenger))
        raise ValueError(f"{len(only)} queries are in one of the two systems only, '{only[0]}' first: nothing to pair")
    ids = sorted(baseline)
    difference = np.array([challenger[i] - baseline[i] for i in ids])
    if not difference.any():
        return Comparison(0.0, (0.0, 0.0), 1.0, 1.0, 0, len(ids), 0)
    return Comparison(
        difference=float(difference.mean()),
        interval=bootstrap_interval(difference, settings),
        p_t=_t_test(difference),
        p_randomisation=_randomisation_test(difference, settings),
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
    )


def _randomisation_test(difference: np.ndarray, settings: SignificanceSettings) -> float:
    """The two-sided p-value over sign flips; 1 for a single query, whose two signs are equally far from zero."""
    if len(difference) < 2:
        return 1.0
    rng = np.random.default_rng(settings.seed)
    test = stats.permutation_test(
        (difference,), np.mean, permutation_type="samples", n_resamples=settings.resamples, vectorized=True, axis=0, rng=rng
    )
    return float(test.pvalue)


def _t_test(difference: np.ndarray) -> float:
    """The two-sided p-value; 1 for a single query, 0 where all differences are the same and none is zero."""
    if len(difference) < 2 or np.ptp(difference) == 0:
        return 1.0 if len(difference) < 2 else 0.0
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def bootstrap_interval(values: Sequence[float] | np.ndarray, settings: SignificanceSettings = DEFAULTS) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a mean."""
    array = np.asarray(values, dtype=float)
    if len(array) < 2 or np.ptp(array) == 0:
        mean = float(array.mean()) if len(array) else 0.0
        return mean, mean
    rng = np.random.default_rng(settings.seed)
    result = stats.bootstrap((array,), np.mean, n_resamples=settings.resamples, method="percentile", rng=rng, batch=1000)
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order of the input (Holm, 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for position, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - position) * p_values[i]))
        adjusted[i] = running
    return adjusted
