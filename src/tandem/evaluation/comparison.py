"""All systems of a pipeline in one table: measures, intervals, and paired tests against one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import orjson

from tandem.evaluation.measures import LABELS, MEASURES, MeasureName, mean_measures
from tandem.evaluation.significance import Comparison, SignificanceSettings, bootstrap_interval, compare, holm
from tandem.formats.jsonl import write_json, write_text
from tandem.formats.tables import write_table
from tandem.runtime.rounds import RoundPlan
from tandem.settings import SettingError

__all__ = [
    "COLUMNS",
    "ComparisonFiles",
    "ComparisonSettings",
    "Control",
    "ControlSettings",
    "SystemRow",
    "compare_controls",
    "compare_systems",
    "read_systems",
    "to_markdown",
    "write_comparison",
]

TESTS = ["difference", "low", "high", "p_t", "p_t_holm", "p_randomisation", "p_randomisation_holm", "wins", "ties", "losses"]
COLUMNS = ["system", *MEASURES, *TESTS]
PRINTED = ("recall_at_10", "recall_at_100", "mrr_at_10")  # in the Markdown table, beside the compared measure
Values = Mapping[str, Mapping[str, float]]
Cell = str | float | int


class ControlSettings(SignificanceSettings):
    """What rounds are compared on."""

    measure: MeasureName
    """the measure that the tests are on"""


class ComparisonSettings(ControlSettings):
    """What systems are compared on, and with which of them."""

    baseline: str
    """the system that the others are tested against: a round, a baseline or a reranker, by its name"""


@dataclass(frozen=True, slots=True)
class SystemRow:
    """One system: its mean measures, the 95 % interval of the compared one, and its test against the baseline, which has none itself."""

    system: str
    measures: dict[str, float]
    interval: tuple[float, float]
    test: Comparison | None = None
    p_t_holm: float = 1.0
    p_randomisation_holm: float = 1.0

    def as_dict(self) -> dict[str, Cell]:
        """The row as JSON and CSV have it, keys as in ``COLUMNS``; the baseline lacks those of the test."""
        low, high = self.interval
        row: dict[str, Cell] = {"system": self.system, **self.measures, "low": low, "high": high}
        if self.test:
            row |= {"difference": self.test.difference, "p_t": self.test.p_t, "p_t_holm": self.p_t_holm}
            row |= {"p_randomisation": self.test.p_randomisation, "p_randomisation_holm": self.p_randomisation_holm}
            row |= {"wins": self.test.wins, "ties": self.test.ties, "losses": self.test.losses}
        return row


@dataclass(frozen=True, slots=True)
class Control:
    """Two rounds after the same round, with queries of different generators: ``system`` less ``against``."""

    system: str
    against: str
    generator: str
    against_generator: str
    difference: float
    low: float
    high: float
    p_randomisation: float

    def as_dict(self) -> dict[str, Cell]:
        """The row as JSON has it, with the sentence."""
        return {**asdict(self), "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        return (
            f"{self.system} (queries of {self.generator}) against {self.against} (of {self.against_generator}), same budget and "
            f"steps: {self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}], p {self.p_randomisation:.3f}."
        )


@dataclass(frozen=True, slots=True)
class ComparisonFiles:
    """Where a comparison is written: JSON, CSV and Markdown."""

    comparison: Path
    table: Path
    text: Path


def read_systems(files: Sequence[Path], rounds: Mapping[str, Path] | None = None) -> dict[str, Values]:
    """Per-query values by system.

    Args:
        files: JSON of values by system; a system of an earlier file stays.
        rounds: JSON of one system's values, by its name.
    """
    systems: dict[str, Values] = {}
    for path in files:
        systems |= {name: values for name, values in orjson.loads(path.read_bytes()).items() if name not in systems}
    return {**systems, **{name: orjson.loads(path.read_bytes()) for name, path in (rounds or {}).items()}}


def compare_systems(systems: Mapping[str, Values], settings: ComparisonSettings) -> list[SystemRow]:
    """One row for each system, in their order; Holm's correction is over all that are tested.

    Args:
        systems: from :func:`read_systems`.
        settings: of the tests.

    Raises:
        SettingError: the baseline is not among the systems.
    """
    measure, baseline = settings.measure, settings.baseline
    if baseline not in systems:
        raise SettingError("baseline", f"{baseline!r} found, allowed: {', '.join(systems)}")
    tests = {name: compare(systems[baseline][measure], values[measure], settings) for name, values in systems.items() if name != baseline}
    holm_t = dict(zip(tests, holm([test.p_t for test in tests.values()]), strict=True))
    holm_randomisation = dict(zip(tests, holm([test.p_randomisation for test in tests.values()]), strict=True))
    return [
        SystemRow(
            name,
            mean_measures(values),
            bootstrap_interval(list(values[measure].values()), settings),
            tests.get(name),
            holm_t.get(name, 1.0),
            holm_randomisation.get(name, 1.0),
        )
        for name, values in systems.items()
    ]


def compare_controls(systems: Mapping[str, Values], rounds: Mapping[str, RoundPlan], settings: ControlSettings) -> list[Control]:
    """Rounds that follow the same round with another generator, in pairs: all that differs is who wrote the queries.

    A round with the generator of the round before it is the static-generator control of its sibling.

    Args:
        systems: from :func:`read_systems`.
        rounds: the pipeline's.
        settings: of the tests, which are not corrected.
    """
    controls = []
    for first, second in combinations(rounds, 2):
        if _differ_in_generator(rounds[first], rounds[second]):
            test = compare(systems[second][settings.measure], systems[first][settings.measure], settings)
            generators = rounds[first].generator, rounds[second].generator
            controls.append(Control(first, second, *generators, test.difference, *test.interval, test.p_randomisation))
    return controls


def write_comparison(rows: Sequence[SystemRow], files: ComparisonFiles, settings: ComparisonSettings, *, notes: Sequence[str] = ()) -> str:
    """Write a comparison as JSON, CSV and Markdown, the latter with notes below the table.

    Args:
        rows: from :func:`compare_systems`.
        files: to write.
        settings: that the rows were made with.
        notes: paragraphs of Markdown.

    Returns:
        The Markdown.
    """
    dicts = [row.as_dict() for row in rows]
    write_json(files.comparison, dicts)
    write_table(files.table, dicts, COLUMNS)
    markdown = "\n\n".join([to_markdown(rows, settings).rstrip(), *notes]) + "\n"
    write_text(files.text, markdown)
    return markdown


def to_markdown(rows: Sequence[SystemRow], settings: ComparisonSettings) -> str:
    """The table as Markdown, with what its columns mean below it."""
    measure, baseline = settings.measure, settings.baseline
    printed = " | ".join(LABELS[name] for name in PRINTED)
    lines = [f"| system | {LABELS[measure]} [95 %] | {printed} | against {baseline} | p (Holm) | +/=/- |", "|" + "---|" * 8]
    for row in rows:
        low, high = row.interval
        compared = f"{row.measures[measure]:.3f} [{low:.3f}, {high:.3f}]"
        tests = ["", "", ""]
        if row.test:
            outcome = f"{row.test.wins}/{row.test.ties}/{row.test.losses}"
            tests = [f"{row.test.difference:+.3f}", f"{row.p_randomisation_holm:.3f}", outcome]
        others = [f"{row.measures[name]:.3f}" for name in PRINTED]
        lines.append("| " + " | ".join([row.system, compared, *others, *tests]) + " |")
    note = (
        f"Intervals: bootstrap. p: paired randomisation test on {LABELS[measure]} against {baseline}, Holm-corrected. "
        "+/=/-: queries won, tied, lost."
    )
    return "\n".join([*lines, "", note, ""])


def _differ_in_generator(one: RoundPlan, other: RoundPlan) -> bool:
    """Whether two rounds differ in the generator of their queries, and neither in the round before nor in an override."""
    return one.generator != other.generator and one.model_copy(update={"generator": other.generator}) == other
