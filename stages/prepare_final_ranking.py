"""Grouped rows for the reranker over the champion: labelled pairs, kept queries or both, with hard negatives of the untrained fusion."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_records
from tandem.records import LabelledPair, PseudoQuery
from tandem.rerankers.candidates import QuerySettings, build_rows, choose_queries, queries_of, relevant_of
from tandem.retrievers.hard_negatives import WindowSettings, mine_for_ranking
from tandem.retrievers.hybrid import open_untrained
from tandem.runtime.hardware import device_name
from tandem.settings import Depth, Seed


class Params(QuerySettings, WindowSettings):
    """Which queries, which negatives, and which documents of dev queries."""

    dev_candidates: Depth
    """of a dev query: the first documents of the fusion, whatever they are"""
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, pairs, kept queries and untrained indexes; write rows to train on and rows to choose checkpoints with."""
    reads, writes = "corpus indexes baselines train dev queries", "rows dev_rows"
    with open_stage("prepare_final_ranking", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        corpus = Corpus(paths.corpus)
        labelled, dev = (read_records(path, LabelledPair) for path in (paths.train, paths.dev))
        pairs = choose_queries(labelled, read_records(paths.queries, PseudoQuery), dev, params, seed=params.seed)
        measured = dev if pairs else []
        negatives, candidates, counts = mine_for_ranking(
            open_untrained(paths.indexes, paths.baselines, device=device_name()).search,
            (queries_of(pairs), relevant_of(pairs)),
            (queries_of(measured), relevant_of(measured)),
            corpus.groups,
            params,
            dev_candidates=params.dev_candidates,
            seed=params.seed,
        )
        write_records(paths.rows, build_rows(pairs, negatives, corpus.texts))
        write_records(paths.dev_rows, build_rows(measured, candidates, corpus.texts))
        tracked.log({**counts, "pairs": len(pairs)})


if __name__ == "__main__":
    run(main)
