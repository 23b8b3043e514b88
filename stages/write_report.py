"""The report: one page and three tables out of everything that the stages wrote; it and sync alone depend on records."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import parse, run
from tandem.evaluation.measures import MeasureName
from tandem.formats.jsonl import write_text
from tandem.formats.tables import write_table
from tandem.reporting.gather import gather, round_rows
from tandem.reporting.page import render
from tandem.runtime.params import load_params
from tandem.runtime.rounds import RoundPlan, UpdatePlan
from tandem.settings import CountOrZero, Resamples, Settings

READS = "corpus test dev evaluation rounds generators comparison controls champions reranker generator_rows leaks records"
WRITES = "report rounds_table drift_table difficulty_table"


class Compared(Settings):
    """What compare_rounds compared: the page says it, and need not guess."""

    measure: MeasureName
    baseline: str
    resamples: Resamples


class Params(Settings):
    """What the report shows."""

    examples: CountOrZero
    """queries that gained most, and that lost most"""
    compare_rounds: Compared
    rounds: dict[str, RoundPlan]
    updates: dict[str, UpdatePlan]


def main(argv: Sequence[str] | None = None) -> None:
    """Read what the stages wrote, write the page and its tables whole."""
    paths = parse("write_report", argv, *READS.split(), *WRITES.split())
    params = load_params(paths.params, "write_report", Params)
    compared = params.compare_rounds.model_dump(include={"measure", "baseline"})
    files = {name: getattr(paths, name) for name in READS.split()}
    found = gather(files, **compared, examples=params.examples, rounds=params.rounds, updates=params.updates)
    write_text(paths.report, render(**found))
    write_table(paths.rounds_table, rows := round_rows(found), list(rows[0]))
    write_table(paths.drift_table, found["drift"], list(found["drift"][0]))
    bins = [{"update": name, "difficulty": low, "queries": count} for name, own in found["difficulty"].items() for low, count in own]
    write_table(paths.difficulty_table, bins, ["update", "difficulty", "queries"])
    print(f"{paths.report}: open it in a browser")


if __name__ == "__main__":
    run(main)
