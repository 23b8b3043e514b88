"""Baselines and rounds in one table, each against round 0 with paired tests and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from stages.runtime import open_stage, run
from tandem.evaluation.comparison import compare_controls, compare_systems, read_systems, write_comparison
from tandem.evaluation.measures import MeasureName
from tandem.formats.jsonl import write_json
from tandem.runtime.rounds import RoundPlan
from tandem.settings import Resamples, Seed, Settings


class Params(Settings):
    """How to compare."""

    measure: MeasureName
    """the measure that the tests are on"""
    baseline: str
    """what the others are compared with: a round, or a baseline's name"""
    resamples: Resamples
    """of the randomisation test and of the bootstrap"""
    rounds: dict[str, RoundPlan]
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read every per-query file, write the comparison as JSON, CSV and Markdown, and show it."""
    reads, writes = "values leaks", "comparison controls table text"
    with open_stage("compare_rounds", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        files = {name: paths.values / f"{name}.json" for name in ["r0", *params.rounds]}
        systems = {**read_systems([paths.values / "baselines.json"], files), **read_systems([paths.values / "reranked.json"])}
        rows = compare_systems(systems, **params.model_dump(exclude={"rounds"}))
        controls = compare_controls(systems, params.rounds, **params.model_dump(exclude={"rounds", "baseline"}))
        write_json(paths.controls, controls)
        shown = params.model_dump(include={"measure", "baseline"})
        notes = [*(row["sentence"] for row in controls), f"Leak checks passed: {len(orjson.loads(paths.leaks.read_bytes()))}."]
        text = write_comparison(rows, paths.table, paths.comparison, paths.text, **shown, notes=notes)
        tracked.log({f"{row['system']}/{params.measure}": row[params.measure] for row in rows})
        print(text)


if __name__ == "__main__":
    run(main)
