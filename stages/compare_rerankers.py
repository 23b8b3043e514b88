"""BM25 and every reranker over it in one table, with paired tests and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.runtime import open_stage, run
from tandem.evaluation.comparison import compare_systems, read_systems, write_comparison
from tandem.evaluation.measures import MeasureName
from tandem.settings import Resamples, Seed, Settings


class Params(Settings):
    """How to compare."""

    measure: MeasureName
    baseline: str
    """what the others are compared with: bm25, or a reranker's name"""
    resamples: Resamples
    rerankers: dict[str, Any]
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read every per-query file, write the comparison as JSON, CSV and Markdown, and show it."""
    with open_stage("compare_rerankers", Params, argv, reads="evaluation", writes="comparison table text") as (paths, params, tracked, _):
        systems = read_systems([paths.evaluation / f"{name}.json" for name in params.rerankers])
        rows = compare_systems(systems, **params.model_dump(exclude={"rerankers"}))
        shown = params.model_dump(include={"measure", "baseline"})
        text = write_comparison(rows, paths.table, paths.comparison, paths.text, **shown)
        tracked.log({f"{row['system']}/{params.measure}": row[params.measure] for row in rows})
        print(text)


if __name__ == "__main__":
    run(main)
