"""The report: one page and three tables out of everything that the stages wrote; it and sync alone depend on records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields

from stages.runtime import parse, run
from tandem.evaluation.measures import LABELS, MeasureName
from tandem.formats.jsonl import write_text
from tandem.formats.tables import write_table
from tandem.reporting.page import render
from tandem.reporting.report import Compared, ReportFiles, ReportSettings, read_report, round_rows
from tandem.runtime.params import load_params
from tandem.runtime.rounds import RoundPlan, UpdatePlan
from tandem.settings import Resamples, Settings

READS = [field.name for field in fields(ReportFiles)]
WRITES = ["report", "rounds_table", "drift_table", "difficulty_table"]


class ComparedParams(Settings):
    """What compare_rounds compared: the page says it, and need not guess."""

    measure: MeasureName
    baseline: str
    resamples: Resamples


class Params(ReportSettings):
    """What the report lists."""

    compare_rounds: ComparedParams
    rounds: dict[str, RoundPlan]
    updates: dict[str, UpdatePlan]


def main(argv: Sequence[str] | None = None) -> None:
    """Read what the stages wrote, write the page and its tables whole."""
    paths = parse("write_report", argv, *READS, *WRITES)
    params = load_params(paths.params, "write_report", Params)
    measure, baseline = params.compare_rounds.measure, params.compare_rounds.baseline
    files = ReportFiles(**{name: getattr(paths, name) for name in READS})
    report = read_report(files, params, Compared(measure, LABELS[measure], baseline), rounds=params.rounds, updates=params.updates)
    write_text(paths.report, render(report))
    write_table(paths.rounds_table, rows := round_rows(report), list(rows[0]))
    write_table(paths.drift_table, [asdict(row) for row in report.drift], list(asdict(report.drift[0])))
    bins = [{"update": name, "difficulty": low, "queries": count} for name, rows in report.difficulty.items() for low, count in rows]
    write_table(paths.difficulty_table, bins, ["update", "difficulty", "queries"])
    print(f"{paths.report}: open it in a browser")


if __name__ == "__main__":
    run(main)
