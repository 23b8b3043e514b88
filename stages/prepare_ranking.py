"""Grouped rows for rerankers: a query's relevant documents and hard negatives of BM25; dev rows are BM25's first documents."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_records
from tandem.records import LabelledPair
from tandem.rerankers.candidates import build_rows, queries_of, relevant_of
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.hard_negatives import WindowSettings, mine_for_ranking
from tandem.settings import Depth, Seed


class Params(WindowSettings):
    """Which negatives, and which documents of dev queries."""

    dev_candidates: Depth
    """of a dev query: BM25's first documents, whatever they are"""
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus and pairs, write rows to train on and rows to choose checkpoints with."""
    reads, writes = "corpus index train dev", "rows dev_rows"
    with open_stage("prepare_ranking", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        corpus = Corpus(paths.corpus)
        train, dev = read_records(paths.train, LabelledPair), read_records(paths.dev, LabelledPair)
        negatives, candidates, counts = mine_for_ranking(
            BM25Index.load(paths.index).search,
            (queries_of(train), relevant_of(train)),
            (queries_of(dev), relevant_of(dev)),
            corpus.groups,
            params,
            dev_candidates=params.dev_candidates,
            seed=params.seed,
        )
        write_records(paths.rows, build_rows(train, negatives, corpus.texts))
        write_records(paths.dev_rows, build_rows(dev, candidates, corpus.texts))
        tracked.log(counts)


if __name__ == "__main__":
    run(main)
