"""The gate: a challenger becomes champion if its dev gain is significant, or if it is as good and cheaper, and a guard does not fall.

Every challenger is compared with the champion of its moment, in order; the level is divided by the number of challengers (Bonferroni),
because a chain of tests moves the champion by chance more often than one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tandem.evaluation.significance import SignificanceSettings, compare
from tandem.settings import Level, Share

__all__ = ["Candidate", "Decision", "GateSettings", "decide", "run_gate"]


class GateSettings(SignificanceSettings):
    """When a challenger takes the champion's place."""

    alpha: Level
    """level of all comparisons together"""
    equal_within: Share
    """half width of what counts as equal quality, where the cheaper one wins: the 95 % interval of the difference lies within it"""
    guard_tolerance: Share
    """the guard's mean may fall by this much, if not significantly"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may become champion: values of one measure by dev query and by guard query, and what it costs.

    ``costs`` are compared key by key: a model is cheaper if none of them is higher and one is lower. ``fault`` says why it may not be
    champion whatever its values are.
    """

    name: str
    dev: Mapping[str, float]
    guard: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """One comparison at the gate: whether the champion moved, and why; the difference is challenger minus champion on dev."""

    challenger: str
    champion: str
    moved: bool
    reason: str
    dev_queries: int
    difference: float = 0.0
    low: float = 0.0
    high: float = 0.0
    p: float = 1.0
    guard_difference: float = 0.0
    guard_p: float = 1.0


def decide(champion: Candidate, challenger: Candidate, settings: GateSettings) -> Decision:
    """Whether the challenger takes the champion's place.

    Args:
        champion: the model to beat.
        challenger: the model that would take its place.
        settings: ``alpha`` is the level of this comparison, on dev and on the guard.
    """
    stays = Decision(challenger.name, champion.name, moved=False, reason=challenger.fault, dev_queries=len(champion.dev))
    if challenger.fault:
        return stays
    if not champion.dev or set(champion.dev) != set(challenger.dev):
        reason = "the two were not measured on the same dev queries" if champion.dev else "there is no dev query to compare them on"
        return replace(stays, reason=reason)
    alpha, equal_within = settings.alpha, settings.equal_within
    dev = compare(champion.dev, challenger.dev, settings)
    low, high = dev.interval
    stays = replace(stays, difference=dev.difference, low=low, high=high, p=dev.p_randomisation)
    if champion.guard and set(champion.guard) == set(challenger.guard):
        guard = compare(champion.guard, challenger.guard, settings)
        stays = replace(stays, guard_difference=guard.difference, guard_p=guard.p_randomisation)
        if guard.difference < 0 and (guard.p_randomisation < alpha or guard.difference < -settings.guard_tolerance):
            return replace(stays, reason=f"it falls on the guard collection by {-guard.difference:.3f} (p {guard.p_randomisation:.3f})")
    if dev.difference > 0 and dev.p_randomisation < alpha:
        return replace(stays, moved=True, reason=f"its gain on dev is significant (p < {alpha:.3g})")
    if -equal_within <= low and high <= equal_within and (saved := _cheaper(champion.costs, challenger.costs)):
        return replace(stays, moved=True, reason=f"it is equal within {equal_within:g} and cheaper: {saved}")
    figures = f"{dev.difference:+.3f}, p {dev.p_randomisation:.3f}, level {alpha:.3g}, {len(champion.dev)} dev queries"
    return replace(stays, reason=f"its difference on dev is no significant gain ({figures})")


def run_gate(candidates: Sequence[Candidate], settings: GateSettings) -> tuple[str, list[Decision]]:
    """The champion among candidates in their order, the first being champion to begin with.

    Args:
        candidates: at least one.
        settings: ``alpha`` is the level of all comparisons together.

    Returns:
        The champion's name, and every comparison.
    """
    champion, decisions = candidates[0], []
    each = settings.model_copy(update={"alpha": settings.alpha / max(len(candidates) - 1, 1)})
    for challenger in candidates[1:]:
        decision = decide(champion, challenger, each)
        decisions.append(decision)
        champion = challenger if decision.moved else champion
    return champion.name, decisions


def _cheaper(champion: Mapping[str, float], challenger: Mapping[str, float]) -> str:
    """What the challenger saves, in words; empty where it is not cheaper."""
    shared = [key for key in champion if key in challenger]
    if any(challenger[key] > champion[key] for key in shared):
        return ""
    return ", ".join(
        f"{key.replace('_', ' ')} {challenger[key]:g} against {champion[key]:g}" for key in shared if challenger[key] < champion[key]
    )
