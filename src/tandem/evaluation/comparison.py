"""All systems of a pipeline in one table: measures, intervals, and paired tests against one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson

from tandem.evaluation.measures import MEASURES, mean_measures
from tandem.evaluation.significance import bootstrap_interval, compare, holm
from tandem.formats.jsonl import write_json, write_text
from tandem.formats.tables import write_table
from tandem.runtime.rounds import RoundPlan

__all__ = ["COLUMNS", "compare_controls", "compare_systems", "read_systems", "to_markdown", "write_comparison"]

TESTS = [
    "difference",
    "low",
    "high",
    "p_t",
    "p_t_holm",
    "p_randomisation",
    "p_randomisation_holm",
    "wins",
    "ties",
    "losses",
]
COLUMNS = ["system", *MEASURES, *TESTS]
Values = dict[str, dict[str, float]]


def read_systems(files: Sequence[Path], rounds: Mapping[str, Path] | None = None) -> dict[str, Values]:
    """Per-query values by system.

    Args:
        files: JSON of values by system; a system of an earlier file stays.
        rounds: JSON of one system's values, by its name.
    """
    systems: dict[str, Values] = {}
    for path in files:
        systems |= {name: own for name, own in orjson.loads(path.read_bytes()).items() if name not in systems}
    return {**systems, **{name: orjson.loads(path.read_bytes()) for name, path in (rounds or {}).items()}}


def compare_systems(systems: Mapping[str, Values], *, measure: str, baseline: str, resamples: int, seed: int) -> list[dict[str, Any]]:
    """One row for each system, in their order.

    Args:
        systems: from :func:`read_systems`.
        measure: that the tests are on.
        baseline: the system that the others are tested against; Holm's correction is over all of them.
        resamples: of the randomisation test and of the bootstrap.
        seed: of both.

    Raises:
        ValueError: ``measure`` or ``baseline`` is not among those there are.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure: {measure!r} found, allowed: {', '.join(MEASURES)}")
    if baseline not in systems:
        raise ValueError(f"baseline: {baseline!r} found, allowed: {', '.join(systems)}")
    settings = {"resamples": resamples, "seed": seed}
    tests = {name: compare(systems[baseline][measure], values[measure], **settings) for name, values in systems.items() if name != baseline}
    holm_t = dict(zip(tests, holm([test.p_t for test in tests.values()]), strict=True))
    holm_r = dict(zip(tests, holm([test.p_randomisation for test in tests.values()]), strict=True))
    rows = []
    for name, values in systems.items():
        low, high = bootstrap_interval(list(values[measure].values()), **settings)
        row: dict[str, Any] = {"system": name, **mean_measures(values), "low": low, "high": high}
        if name in tests:
            test = tests[name]
            row |= {"difference": test.difference, "p_t": test.p_t, "p_t_holm": holm_t[name]}
            row |= {"p_randomisation": test.p_randomisation, "p_randomisation_holm": holm_r[name]}
            row |= {"wins": test.wins, "ties": test.ties, "losses": test.losses}
        rows.append(row)
    return rows


def compare_controls(
    systems: Mapping[str, Values], rounds: Mapping[str, RoundPlan], *, measure: str, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Rounds that follow the same round with another generator, in pairs: all that differs is who wrote the queries.

    A round with the generator of the round before it is the static-generator control of its sibling.

    Each row has the meeting as a ``sentence`` too.

    Args:
        systems: from :func:`read_systems`.
        rounds: the pipeline's.
        measure: that the test is on.
        resamples: of the randomisation test and of the bootstrap.
        seed: of both.
    """
    rows = []
    for first, second in combinations(rounds, 2):
        if _differ_in_generator(rounds[first], rounds[second]):
            test = compare(systems[second][measure], systems[first][measure], resamples=resamples, seed=seed)
            names = {"system": first, "against": second, "generator": rounds[first].generator}
            low, high = test.interval
            values = {"difference": test.difference, "low": low, "high": high, "p_randomisation": test.p_randomisation}
            sentence = (
                f"{first} (queries of {rounds[first].generator}) against {second} (of {rounds[second].generator}), same budget and "
                f"steps: {test.difference:+.3f} [{low:+.3f}, {high:+.3f}], p {test.p_randomisation:.3f}."
            )
            rows.append({**names, "against_generator": rounds[second].generator, **values, "sentence": sentence})
    return rows


def write_comparison(
    rows: Sequence[Mapping[str, Any]],
    table: Path,
    comparison: Path,
    text: Path,
    *,
    measure: str,
    baseline: str,
    notes: Sequence[str] = (),
) -> str:
    """Write rows of :func:`compare_systems` as CSV, JSON and Markdown, the latter with notes below; the Markdown is returned."""
    write_json(comparison, rows)
    write_table(table, rows, COLUMNS)
    markdown = "\n\n".join([to_markdown(rows, measure=measure, baseline=baseline).rstrip(), *notes]) + "\n"
    write_text(text, markdown)
    return markdown


def to_markdown(rows: Sequence[Mapping[str, Any]], *, measure: str, baseline: str) -> str:
    """The table as Markdown, with what its columns mean below it."""
    head = f"| system | {measure} [95 %] | recall@10 | recall@100 | mrr@10 | against {baseline} | p (Holm) | +/=/- |"
    lines = [head, "|" + "---|" * 8]
    for row in rows:
        own = f"{row[measure]:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        tests = ["", "", ""]
        if "difference" in row:
            tests = [
                f"{row['difference']:+.3f}",
                f"{row['p_randomisation_holm']:.3f}",
                f"{row['wins']}/{row['ties']}/{row['losses']}",
            ]
        others = [f"{row[name]:.3f}" for name in ("recall_at_10", "recall_at_100", "mrr_at_10")]
        lines.append("| " + " | ".join([row["system"], own, *others, *tests]) + " |")
    note = (
        f"Intervals: bootstrap. p: paired randomisation test on {measure} against {baseline}, Holm-corrected. "
        "+/=/-: queries won, tied, lost."
    )
    return "\n".join([*lines, "", note, ""])


def _differ_in_generator(one: RoundPlan, other: RoundPlan) -> bool:
    """Whether two rounds differ in the generator of their queries, and in nothing else that is planned."""
    return one.generator != other.generator and one.model_copy(update={"generator": other.generator}) == other
