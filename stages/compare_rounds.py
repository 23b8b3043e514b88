"""Baselines and rounds in one table, each against round 0 with paired tests and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

from stages.arguments import parse, run
from tandem.evaluation.comparison import COLUMNS, compare_systems, to_markdown
from tandem.formats.jsonl import write_json, write_text
from tandem.formats.tables import write_table
from tandem.params import Section, load_params
from tandem.tracking import record


class Params(Section):
    """How to compare."""

    measure: str
    """the measure that the tests are on"""
    baseline: str
    """what the others are compared with: a round, or a baseline's name"""
    resamples: int
    """of the randomisation test and of the bootstrap"""
    rounds: dict[str, dict[str, str]]
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read every per-query file, write the comparison as JSON, CSV and Markdown, and show it."""
    arguments = parse(__doc__, argv, "baselines", "rounds", "comparison", "table", "text", "record")
    params = load_params(arguments.params, "compare_rounds", Params)
    with record("compare_rounds", params, arguments.record) as tracked:
        files = {name: arguments.rounds / f"{name}.json" for name in ["r0", *params.rounds]}
        rows = compare_systems(arguments.baselines, files, **params.model_dump(exclude={"rounds"}))
        write_json(arguments.comparison, rows)
        write_table(arguments.table, rows, COLUMNS)
        write_text(arguments.text, to_markdown(rows, measure=params.measure, baseline=params.baseline))
        tracked.log({f"{row['system']}/{params.measure}": row[params.measure] for row in rows})
        print(arguments.text.read_text(encoding="utf8"))


if __name__ == "__main__":
    run(main)
