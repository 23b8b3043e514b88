"""Figures of the report as SVG that takes its colours from the page: one drawing for light and dark, sharp at any width."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bars", "curves", "intervals", "stacks"]

# Stand-ins that matplotlib draws with; the page's style sheet says what they are.
INK, FAINT = "#010203", "#040506"
SERIES = ["#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005", "#0a0006", "#0a0007", "#0a0008"]
VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)", **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES, start=1)}}
STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
}


@mpl.rc_context(STYLE)
def intervals(rows: Sequence[Mapping[str, Any]], value: str, label: str) -> str:
    """A dot with its interval (``low``, ``high``) for each ``system``, the first on top."""
    figure, axes = _axes(0.34 * len(rows) + 0.7)
    for i, row in enumerate(rows):
        axes.plot([row["low"], row["high"]], [i, i], color=SERIES[0], linewidth=1.5)
        axes.plot([row[value]], [i], "o", color=SERIES[0], markersize=5)
        axes.annotate(f"{row[value]:.3f}", (row["high"], i), xytext=(6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(rows)), [row["system"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.grid(axis="x")
    return _svg(figure, f"{label} with 95 % intervals: " + ", ".join(f"{row['system']} {row[value]:.3f}" for row in rows))


@mpl.rc_context(STYLE)
def curves(lines: Mapping[str, Sequence[tuple[str | float, float]]], label: str, across: str) -> str:
    """One line a name over numbers or names."""
    figure, axes = _axes()
    for colour, (name, points) in zip(SERIES * 4, lines.items(), strict=False):
        axes.plot(
            [x for x, _ in points], [y for _, y in points], marker="o" if len(points) < 20 else "", markersize=4, color=colour, label=name
        )
    axes.set_xlabel(across)
    axes.set_ylabel(label)
    axes.grid(axis="y")
    if len(lines) > 1:
        axes.legend(labelcolor=INK, loc="best")
    return _svg(figure, f"{label} over {across}: {', '.join(lines)}")


@mpl.rc_context(STYLE)
def stacks(rows: Mapping[str, Sequence[tuple[str, int]]], label: str) -> str:
    """One horizontal bar a row, parted by reason; a reason has its colour in every row."""
    figure, axes = _axes(0.5 * len(rows) + 1.3)
    reasons = list(dict.fromkeys(reason for counts in rows.values() for reason, _ in counts))
    for i, reason in enumerate(reasons):
        left = []
        widths = []
        for counts in rows.values():
            names = [name for name, _ in counts]
            position = names.index(reason) if reason in names else len(names)
            left.append(sum(count for _, count in counts[:position]))
            widths.append(counts[position][1] if position < len(counts) else 0)
        axes.barh(list(rows), widths, left=left, color=SERIES[i % len(SERIES)], label=reason, height=0.6)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.legend(labelcolor=INK, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.35 if len(rows) < 3 else -0.2), fontsize=8)
    return _svg(figure, f"{label}: " + "; ".join(f"{name}: " + ", ".join(f"{r} {n}" for r, n in counts) for name, counts in rows.items()))


@mpl.rc_context(STYLE)
def bars(groups: Mapping[str, Sequence[tuple[float, float]]], label: str, across: str) -> str:
    """Histograms side by side: (position, height) by name."""
    figure, axes = _axes()
    for i, (name, points) in enumerate(groups.items()):
        width = (points[1][0] - points[0][0]) / (len(groups) + 0.3) if len(points) > 1 else 1.0
        axes.bar(
            [x + i * width for x, _ in points], [y for _, y in points], width=width, align="edge", color=SERIES[i % len(SERIES)], label=name
        )
    axes.set_xlabel(across)
    axes.set_ylabel(label)
    if len(groups) > 1:
        axes.legend(labelcolor=INK)
    return _svg(figure, f"{label} by {across}: {', '.join(groups)}")


def _axes(height: float = 2.7) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure, title: str) -> str:
    """The drawing as an ``svg`` element that scales with the page, with its content in words for screen readers."""
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": title}):  # ids that no other drawing of the page has
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None}, transparent=True)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
