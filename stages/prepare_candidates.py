"""What a teacher scores: labelled queries, and titles of documents, which need no label, with candidates of BM25."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from stages.runtime import open_stage, run
from tandem.formats.jsonl import read_records, write_records
from tandem.formats.texts import CorpusFile
from tandem.records import LabelledPair, group_numbers
from tandem.rerankers.ranking_data import build_rows, queries_of, relevant_of
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.hard_negatives import mine_negatives
from tandem.settings import Count, CountOrZero, Depth, Seed, Settings
from tandem.text import normalize_query


class Params(Settings):
    """Which queries, and how many documents of each."""

    rank_end: Depth
    """candidates are drawn from the first so many of BM25's documents, the query's own aside: as deep as the student will rerank"""
    candidates_per_query: Count
    """candidates a query, at most"""
    titles: CountOrZero
    """documents whose titles are queries too"""
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus and pairs, write one row a query: its own documents, and candidates that nobody has judged."""
    with open_stage("prepare_candidates", Params, argv, reads="corpus index train dev", writes="rows") as (paths, params, tracked, _):
        corpus = CorpusFile(paths.corpus)
        pairs = read_records(paths.train, LabelledPair)
        known = {"", *(normalize_query(pair.text) for pair in (*pairs, *read_records(paths.dev, LabelledPair)))}
        titled = [(document.doc_id, document.title) for document in corpus if normalize_query(document.title) not in known]
        drawn = random.Random(f"titles:{params.seed}").sample(titled, min(params.titles, len(titled)))
        pairs += [LabelledPair(query_id=f"title:{doc_id}", text=title, doc_id=doc_id) for doc_id, title in drawn]
        index = BM25Index.load(paths.index)
        found = index.search(queries_of(pairs), depth=params.rank_end + 50)  # its own documents are among them
        window: dict[str, Any] = {
            "rank_start": 1,
            "rank_end": params.rank_end,
            "negatives_per_query": params.candidates_per_query,
            "relative_margin": None,
        }
        candidates, _ = mine_negatives(relevant_of(pairs), found, group_numbers(corpus), **window, seed=params.seed)
        write_records(paths.rows, build_rows(pairs, candidates, corpus.texts))
        tracked.log({"queries": len(candidates), "titles": len(drawn), "pairs": sum(map(len, candidates.values()))})


if __name__ == "__main__":
    run(main)
