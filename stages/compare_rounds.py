"""Baselines, rounds and fused systems in one table, each against the untrained fusion with paired tests and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from stages.runtime import open_stage, run
from tandem.evaluation.comparison import (
    ComparisonFiles,
    ComparisonSettings,
    compare_controls,
    compare_systems,
    read_systems,
    write_comparison,
)
from tandem.evaluation.fusion import UNTRAINED
from tandem.formats.jsonl import write_json
from tandem.runtime.rounds import RoundPlan


class Params(ComparisonSettings):
    """How to compare."""

    rounds: dict[str, RoundPlan]


def main(argv: Sequence[str] | None = None) -> None:
    """Read every per-query file, write the comparison as JSON, CSV and Markdown, and print it."""
    reads, writes = "values leaks", "comparison controls table text"
    with open_stage("compare_rounds", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        files = {name: paths.values / f"{name}.json" for name in ["r0", *params.rounds]}
        fused = read_systems([paths.values / "fusion.json"])
        untrained = read_systems([paths.values / "baselines.json"]) | {UNTRAINED: fused.pop(UNTRAINED)}
        systems = {**untrained, **read_systems([], files), **fused, **read_systems([paths.values / "reranked.json"])}
        rows = compare_systems(systems, params)
        controls = compare_controls(systems, params.rounds, params)
        write_json(paths.controls, [control.as_dict() for control in controls])
        notes = [*(control.sentence for control in controls), f"Leak checks passed: {len(orjson.loads(paths.leaks.read_bytes()))}."]
        text = write_comparison(rows, ComparisonFiles(paths.comparison, paths.table, paths.text), params, notes=notes)
        tracked.log({f"{row.system}/{params.measure}": row.measures[params.measure] for row in rows})
        print(text)


if __name__ == "__main__":
    run(main)
