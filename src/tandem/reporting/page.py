"""The report as one HTML page that needs nothing beside itself: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import math
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from tandem.reporting.figures import bars, curves, intervals, stacks
from tandem.reporting.report import Report, System

__all__ = ["format_number", "render"]

TEMPLATE = Path(__file__).parent / "page.html"
LEVEL = 0.05  # below which a difference is called significant


def render(report: Report) -> str:
    """Fill the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["number"] = format_number
    page = environment.from_string(TEMPLATE.read_text(encoding="utf8"))
    headline, lead = _summarise(report)
    champion = report.champions["retriever"]["champion"]
    return page.render(report=report, headline=headline, lead=lead, figures=_figures(report), champion=champion) + "\n"


def format_number(value: float | None, form: str, scale: float = 1.0) -> str:
    """A number as it is printed; what was not finite is null in the files, and a dash here."""
    return "\N{EN DASH}" if value is None or not math.isfinite(value) else form % (scale * value)


def _figures(report: Report) -> dict[str, str]:
    """SVG by name; empty where there is nothing to draw."""
    measure, label = report.compared.measure, report.compared.label
    values = {system.name: system.values for system in report.systems}
    measures = {measure: label, "recall_at_100": "Recall@100"}
    lines = {text: [(name, values[name][key]) for name in report.rounds] for key, text in measures.items()}
    return {
        "systems": intervals([system.values for system in report.systems], measure, label),
        "rounds": curves(lines, "mean over test queries", "round") if len(report.rounds) > 1 else "",
        "funnel": stacks(report.funnels, "queries") if report.funnels else "",
        "difficulty": bars(report.difficulty, "queries", "difficulty") if report.difficulty else "",
        "reward": curves(report.rewards, "mean reward", "step") if any(report.rewards.values()) else "",
    }


def _summarise(report: Report) -> tuple[str, list[str]]:
    """The headline, and the sentences below it: the champion, the best of all systems, and how sure that is."""
    measure, label, baseline = report.compared.measure, report.compared.label, report.compared.baseline
    name = report.champions["retriever"]["champion"]
    champion = next(system for system in report.systems if system.name == name)
    best = max(report.systems, key=lambda system: system.values[measure])
    values = champion.values
    interval = f"[{values['low']:.3f}, {values['high']:.3f}]"
    lead = [f"Champion retriever: {name}, {label} {values[measure]:.3f} {interval}{_against(champion, baseline)}."]
    if best.name != name:
        lead.append(f"Best system on test: {best.name}, {label} {best.values[measure]:.3f}{_against(best, baseline)}.")
    others = [f"{role} {outcome['champion']}" for role, outcome in report.champions.items() if role != "retriever" and outcome["champion"]]
    if others:
        lead.append(f"Other champions: {', '.join(others)}.")
    better = [system.name for system in report.systems if _is_better(system)]
    lead.append(
        f"Significantly better than {baseline}: {', '.join(better)}." if better else f"No system is significantly better than {baseline}."
    )
    if champion.cost:
        lead.append(f"Training cost of {name}: {champion.cost.minutes:.1f} minutes and {champion.cost.queries} generated queries.")
    return f"Champion: {name}, {label} {values[measure]:.3f}", lead


def _is_better(system: System) -> bool:
    values = system.values
    return "difference" in values and values["p_randomisation_holm"] < LEVEL and values["difference"] > 0


def _against(system: System, baseline: str) -> str:
    values = system.values
    return f", {values['difference']:+.3f} against {baseline} (p {values['p_randomisation_holm']:.3f})" if "difference" in values else ""
