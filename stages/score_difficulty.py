"""How hard a round's kept queries are for the retriever that was trained on them: rank over the whole corpus."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.feedback.difficulty import DifficultySettings, score_difficulty, summarise
from tandem.filters.round_trip import document_ranks
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_records
from tandem.records import PseudoQuery
from tandem.retrievers.index.building import VectorIndex
from tandem.runtime.hardware import device_name


class Params(DifficultySettings):
    """What difficulty means."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read queries, corpus and retriever, write one row for each kept query."""
    reads, writes = "corpus queries weights index", "difficulty"
    with open_stage("score_difficulty", Params, argv, reads=reads, writes=writes, words="round update") as (paths, params, tracked, _):
        corpus = Corpus(paths.corpus)
        kept = [row for row in read_records(paths.queries, PseudoQuery) if row.status == "kept"]
        queries, targets = {row.query_id: row.text for row in kept}, {row.query_id: row.doc_id for row in kept}
        index = VectorIndex(paths.index, paths.weights, device=device_name())
        ranked = index.search(queries, depth=params.depth)
        ranks = document_ranks(targets, ranked, corpus.groups)
        rows = score_difficulty(targets, ranks, index.count_vectors(queries), params, corpus_size=len(corpus))
        write_records(paths.difficulty, rows)
        tracked.log(summarise(rows))


if __name__ == "__main__":
    run(main)
