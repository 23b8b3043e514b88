"""Search a round's expanded BM25 for test queries and dev pairs; on the guard, a corpus without generated queries, it is plain BM25."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.evaluation.collections import GUARD, measure_collections, read_collections, read_runs, write_runs
from tandem.evaluation.measures import MeasuredDepth, mean_measures
from tandem.retrievers.index.building import open_index
from tandem.settings import Settings


class Params(Settings):
    """How to search."""

    depth: MeasuredDepth
    """results a query"""


def main(argv: Sequence[str] | None = None) -> None:
    """Search the round's index; write the runs, which evaluate_fusion measures and fuses."""
    reads, writes = "corpus test dev plain index", "runs"
    with open_stage("evaluate_expanded", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        collections = read_collections(paths.corpus, paths.test, paths.dev)
        values, runs = measure_collections(collections, open_index(paths.index), depth=params.depth)
        write_runs(paths.runs, runs | read_runs(paths.plain, [GUARD]))
        tracked.log(mean_measures(values["test"]))


if __name__ == "__main__":
    run(main)
