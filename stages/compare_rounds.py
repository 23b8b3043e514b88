"""Baselines and rounds in one table, each against round 0 with paired tests and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

from stages.opening import open_stage, run
from tandem.evaluation.comparison import compare_systems, read_systems, write_comparison
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
        shown = params.model_dump(include={"measure", "baseline"})
        text = write_comparison(rows, paths.table, paths.comparison, paths.text, **shown)
        tracked.log({f"{row['system']}/{params.measure}": row[params.measure] for row in rows})
        print(text)


if __name__ == "__main__":
    run(main)
