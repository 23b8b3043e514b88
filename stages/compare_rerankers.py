"""BM25 and every reranker over it in one table, with paired tests and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.opening import open_stage, run
from tandem.evaluation.comparison import COLUMNS, compare_systems, read_systems, to_markdown
from tandem.formats.jsonl import write_json, write_text
from tandem.formats.tables import write_table
from tandem.params import Section


class Params(Section):
    """How to compare."""

    measure: str
    baseline: str
    """what the others are compared with: bm25, or a reranker's name"""
    resamples: int
    rerankers: dict[str, Any]
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read every per-query file, write the comparison as JSON, CSV and Markdown, and show it."""
    with open_stage("compare_rerankers", Params, argv, reads="evaluation", writes="comparison table text") as (paths, params, tracked, _):
        systems = read_systems([paths.evaluation / f"{name}.json" for name in params.rerankers])
        rows = compare_systems(systems, **params.model_dump(exclude={"rerankers"}))
        write_json(paths.comparison, rows)
        write_table(paths.table, rows, COLUMNS)
        write_text(paths.text, to_markdown(rows, measure=params.measure, baseline=params.baseline))
        tracked.log({f"{row['system']}/{params.measure}": row[params.measure] for row in rows})
        print(paths.text.read_text(encoding="utf8"))


if __name__ == "__main__":
    run(main)
