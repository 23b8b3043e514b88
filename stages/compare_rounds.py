"""Baselines and rounds in one table, each against round 0 with paired tests and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

from stages.opening import open_stage, run
from tandem.evaluation.comparison import COLUMNS, compare_systems, read_systems, to_markdown
from tandem.formats.jsonl import write_json, write_text
from tandem.formats.tables import write_table
from tandem.params import Section


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
    reads, writes = "baselines rounds", "comparison table text"
    with open_stage("compare_rounds", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        files = {name: paths.rounds / f"{name}.json" for name in ["r0", *params.rounds]}
        rows = compare_systems(read_systems([paths.baselines], files), **params.model_dump(exclude={"rounds"}))
        write_json(paths.comparison, rows)
        write_table(paths.table, rows, COLUMNS)
        write_text(paths.text, to_markdown(rows, measure=params.measure, baseline=params.baseline))
        tracked.log({f"{row['system']}/{params.measure}": row[params.measure] for row in rows})
        print(paths.text.read_text(encoding="utf8"))


if __name__ == "__main__":
    run(main)
