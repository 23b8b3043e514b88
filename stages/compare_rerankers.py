"""BM25 and every reranker over it in one table, with paired tests and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.runtime import open_stage, run
from tandem.evaluation.comparison import ComparisonFiles, ComparisonSettings, compare_systems, read_systems, write_comparison


class Params(ComparisonSettings):
    """How to compare."""

    rerankers: dict[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    """Read every per-query file, write the comparison as JSON, CSV and Markdown, and show it."""
    with open_stage("compare_rerankers", Params, argv, reads="evaluation", writes="comparison table text") as (paths, params, tracked, _):
        systems = read_systems([paths.evaluation / f"{name}.json" for name in params.rerankers])
        rows = compare_systems(systems, params)
        text = write_comparison(rows, ComparisonFiles(paths.comparison, paths.table, paths.text), params)
        tracked.log({f"{row.system}/{params.measure}": row.measures[params.measure] for row in rows})
        print(text)


if __name__ == "__main__":
    run(main)
