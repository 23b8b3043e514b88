"""What a teacher scores: labelled queries, and titles of documents, which need no label, with candidates of BM25."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_records
from tandem.records import LabelledPair
from tandem.rerankers.candidates import build_rows, queries_of, relevant_of, title_pairs
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.hard_negatives import WindowSettings, mine_negatives
from tandem.settings import Count, CountOrZero, Depth, Seed, Settings


class Params(Settings):
    """Which queries, and how many documents of each."""

    rank_end: Depth
    """candidates are drawn from so many of BM25's first documents, relevant ones aside: as deep as the student will rerank"""
    candidates_per_query: Count
    """candidates a query, at most"""
    titles: CountOrZero
    """documents whose titles are queries too"""
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus and pairs, write one row a query: its relevant documents, and candidates that nobody has judged."""
    with open_stage("prepare_candidates", Params, argv, reads="corpus index train dev", writes="rows") as (paths, params, tracked, _):
        corpus = Corpus(paths.corpus)
        train, dev = read_records(paths.train, LabelledPair), read_records(paths.dev, LabelledPair)
        titles = title_pairs(corpus, [*train, *dev], number=params.titles, seed=params.seed)
        pairs = [*train, *titles]
        results = BM25Index.load(paths.index).search(queries_of(pairs), depth=params.rank_end + 50)  # relevant documents are among them
        window = WindowSettings(
            rank_start=1, rank_end=params.rank_end, negatives_per_query=params.candidates_per_query, relative_margin=None
        )
        candidates, _counts = mine_negatives(relevant_of(pairs), results, corpus.groups, window, seed=params.seed)
        write_records(paths.rows, build_rows(pairs, candidates, corpus.texts))
        tracked.log({"queries": len(candidates), "titles": len(titles), "pairs": sum(map(len, candidates.values()))})


if __name__ == "__main__":
    run(main)
