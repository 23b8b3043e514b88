"""The gate: a challenger becomes champion if its dev gain is significant, or if it is as good and cheaper, and a guard does not fall.

Every challenger meets the champion of its moment, in order; the level is divided by the number of challengers (Bonferroni), because a
chain of tests moves the champion by chance more often than one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tandem.evaluation.significance import compare

__all__ = ["Candidate", "Decision", "as_rows", "decide", "run_gate", "to_markdown"]


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
    """One meeting: who met whom, whether the champion moved, and why; the difference is challenger minus champion on dev."""

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


def decide(
    champion: Candidate,
    challenger: Candidate,
    *,
    alpha: float,
    equal_within: float,
    guard_tolerance: float,
    resamples: int,
    seed: int,
) -> Decision:
    """Whether the challenger takes the champion's place.

    Args:
        champion: the model to beat.
        challenger: the model that would take its place.
        alpha: level of the paired randomisation tests, dev and guard.
        equal_within: half width of "equal": the 95 % interval of the difference lies within it.
        guard_tolerance: the guard's mean may be lower by this much, as long as the fall is not significant.
        resamples: of the tests.
        seed: of the tests.
    """
    names: dict[str, Any] = {"challenger": challenger.name, "champion": champion.name, "dev_queries": len(champion.dev)}
    if challenger.fault:
        return Decision(**names, moved=False, reason=challenger.fault)
    if not champion.dev or set(champion.dev) != set(challenger.dev):
        reason = "the two were not measured on the same dev queries" if champion.dev else "there is no dev query to compare them on"
        return Decision(**names, moved=False, reason=reason)
    dev = compare(champion.dev, challenger.dev, resamples=resamples, seed=seed)
    low, high = dev.interval
    values: dict[str, Any] = {"difference": dev.difference, "low": low, "high": high, "p": dev.p_randomisation}
    if champion.guard and set(champion.guard) == set(challenger.guard):
        guard = compare(champion.guard, challenger.guard, resamples=resamples, seed=seed)
        values |= {"guard_difference": guard.difference, "guard_p": guard.p_randomisation}
        if guard.difference < 0 and (guard.p_randomisation < alpha or guard.difference < -guard_tolerance):
            reason = f"it falls on the guard collection by {-guard.difference:.3f} (p {guard.p_randomisation:.3f})"
            return Decision(**names, **values, moved=False, reason=reason)
    if dev.difference > 0 and dev.p_randomisation < alpha:
        return Decision(**names, **values, moved=True, reason=f"its gain on dev is significant (p < {alpha:.3g})")
    if -equal_within <= low and high <= equal_within and (saved := _cheaper(champion.costs, challenger.costs)):
        return Decision(**names, **values, moved=True, reason=f"it is equal within {equal_within:g} and cheaper: {saved}")
    shown = f"{dev.difference:+.3f}, p {dev.p_randomisation:.3f}, level {alpha:.3g}, {len(champion.dev)} dev queries"
    return Decision(**names, **values, moved=False, reason=f"its difference on dev is no significant gain ({shown})")


def run_gate(candidates: Sequence[Candidate], *, alpha: float, **rule: Any) -> tuple[str, list[Decision]]:
    """The champion among candidates in their order, the first being champion to begin with.

    Args:
        candidates: at least one.
        alpha: of all meetings together.
        rule: the other arguments of :func:`decide`.

    Returns:
        The champion's name, and every meeting.
    """
    champion, decisions = candidates[0], []
    for challenger in candidates[1:]:
        decision = decide(champion, challenger, alpha=alpha / (len(candidates) - 1), **rule)
        decisions.append(decision)
        champion = challenger if decision.moved else champion
    return champion.name, decisions


def to_markdown(champions: Mapping[str, Any]) -> str:
    """Champions by role with every meeting, as Markdown: values of ``{role: {"champion": name, "decisions": [...]}}``."""
    parts = []
    for role, own in champions.items():
        parts += [f"## {role.capitalize()}: {own['champion'] or 'none'}", ""]
        parts += [f"To begin with: {own['start']}.", ""] if own.get("start") else []
        parts += ["| challenger | champion | dev difference [95 %] | p | guard | moved | why |", "|" + "---|" * 7]
        for d in own.get("decisions", []):
            gain = f"{d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]"
            cells = [d["challenger"], d["champion"], gain, f"{d['p']:.3f}", f"{d['guard_difference']:+.3f}"]
            parts.append("| " + " | ".join([*cells, "yes" if d["moved"] else "no", d["reason"]]) + " |")
        parts.append("")
    return "\n".join(["# Champions", "", *parts])


def as_rows(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Decisions as JSON has them."""
    return [asdict(decision) for decision in decisions]


def _cheaper(champion: Mapping[str, float], challenger: Mapping[str, float]) -> str:
    """What the challenger saves, in words; empty where it is not cheaper."""
    shared = [key for key in champion if key in challenger]
    if any(challenger[key] > champion[key] for key in shared):
        return ""
    return ", ".join(
        f"{key.replace('_', ' ')} {challenger[key]:g} against {champion[key]:g}" for key in shared if challenger[key] < champion[key]
    )
