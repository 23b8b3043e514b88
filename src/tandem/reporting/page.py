"""The report as one HTML page that needs nothing beside itself: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from tandem.reporting.figures import bars, curves, intervals, stacks

__all__ = ["render"]

TEMPLATE = Path(__file__).parent / "page.html"


def render(
    *,
    ladder: Sequence[Mapping[str, Any]],
    rounds: Sequence[str],
    measure: str,
    baseline: str,
    funnels: Mapping[str, Sequence[tuple[str, int]]],
    difficulty: Mapping[str, Sequence[tuple[float, int]]],
    rewards: Mapping[str, Sequence[tuple[int, float]]],
    champions: Mapping[str, Any],
    **parts: Any,
) -> str:
    """Fill the page.

    Args:
        ladder: rows of the comparison with ``minutes`` and ``queries``.
        rounds: names of the systems that are rounds.
        measure: that the comparison is on.
        baseline: what it is against.
        funnels: of each round's queries.
        difficulty: histograms by update.
        rewards: curves by update.
        champions: by role, with every meeting.
        parts: what the template names besides.
    """
    champion = champions["retriever"]["champion"]
    systems = {row["system"]: row for row in ladder}
    lines = {
        label: [(name, systems[name][key]) for name in rounds] for key, label in ((measure, measure), ("recall_at_100", "recall_at_100"))
    }
    figures = {
        "ladder": intervals(ladder, measure, measure),
        "rounds": curves(lines, "value", "round") if len(rounds) > 1 else "",
        "funnel": stacks(funnels, "queries") if funnels else "",
        "difficulty": bars(difficulty, "queries", "difficulty") if difficulty else "",
        "reward": curves(rewards, "reward", "step") if any(rewards.values()) else "",
    }
    headline, lead = _in_words(ladder, champions, measure=measure, baseline=baseline)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["number"] = _number
    page = environment.from_string(TEMPLATE.read_text(encoding="utf8"))
    shared = {"ladder": ladder, "measure": measure, "baseline": baseline, "champions": champions, "champion": champion}
    return page.render(headline=headline, lead=lead, figures=figures, **shared, **parts) + "\n"


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    """A number as it is shown; what was not finite is null in the files, and a dash here."""
    return "\N{EN DASH}" if value is None or not math.isfinite(value) else form % (scale * value)


def _in_words(ladder: Sequence[Mapping[str, Any]], champions: Mapping[str, Any], *, measure: str, baseline: str) -> tuple[str, list[str]]:
    """What stands on top of the page: the champion, and the best of all systems, with how sure that is."""
    systems = {row["system"]: row for row in ladder}
    name = champions["retriever"]["champion"]
    own, best = systems[name], max(ladder, key=lambda row: row[measure])
    lead = [
        f"Champion of the retrievers: {name}, {measure} {own[measure]:.3f} [{own['low']:.3f}, {own['high']:.3f}]{_against(own, baseline)}."
    ]
    if best["system"] != name:
        lead.append(f"Highest of all systems on test: {best['system']}, {best[measure]:.3f}{_against(best, baseline)}.")
    moved = [f"{role} {found['champion']}" for role, found in champions.items() if role != "retriever" and found["champion"]]
    if moved:
        lead.append(f"Other champions: {', '.join(moved)}.")
    cost = f"It took {own['minutes']:.1f} minutes of training and {own['queries']} generated queries." if own["minutes"] is not None else ""
    gains = [row for row in ladder if "difference" in row and row["p_randomisation_holm"] < 0.05 and row["difference"] > 0]
    sure = (
        f"Significantly better than {baseline}: {', '.join(row['system'] for row in gains)}."
        if gains
        else f"No system is significantly better than {baseline}."
    )
    return f"{name} is champion at {measure} {own[measure]:.3f}", [*lead, sure, *([cost] if cost else [])]


def _against(row: Mapping[str, Any], baseline: str) -> str:
    if "difference" not in row:
        return ""
    return f", {row['difference']:+.3f} against {baseline} (p {row['p_randomisation_holm']:.3f})"
