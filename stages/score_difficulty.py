"""How hard a round's kept queries are for the retriever that was trained on them: rank over the whole corpus."""

from __future__ import annotations

from collections.abc import Sequence

from stages.arguments import parse, run
from tandem.feedback.difficulty import Mode, best_competitors, score_difficulty, summarise
from tandem.filters.round_trip import document_ranks
from tandem.formats.jsonl import read_records, write_records
from tandem.hardware import device_name
from tandem.params import Section, load_params
from tandem.records import Document, PseudoQuery, document_text, group_numbers
from tandem.retrievers.colbert import count_tokens, load_colbert, search
from tandem.tracking import record


class Params(Section):
    """What difficulty means."""

    mode: Mode
    """log_rank, or paper: equation 13 with shifted scores"""
    depth: int
    """ranks beyond it count as depth + 1"""
    chunk_documents: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read queries, corpus and retriever, write one row for each kept query."""
    arguments = parse(__doc__, argv, "corpus", "queries", "weights", "difficulty", "record", words=["round"])
    params = load_params(arguments.params, "score_difficulty", Params)
    with record("score_difficulty", params, arguments.record, round_id=arguments.round) as tracked:
        corpus = read_records(arguments.corpus, Document)
        texts, groups = {d.doc_id: document_text(d) for d in corpus}, group_numbers(corpus)
        kept = [row for row in read_records(arguments.queries, PseudoQuery) if row.status == "kept"]
        queries, targets = {row.query_id: row.text for row in kept}, {row.query_id: row.doc_id for row in kept}
        model = load_colbert(arguments.weights, device=device_name())
        ranked = search(model, texts, queries, depth=params.depth, chunk_documents=params.chunk_documents)
        rows = score_difficulty(
            targets,
            document_ranks(targets, ranked, groups),
            best_competitors(targets, ranked, groups),
            count_tokens(model, queries),
            corpus_size=len(corpus),
            depth=params.depth,
            mode=params.mode,
        )
        write_records(arguments.difficulty, rows)
        tracked.log(summarise(rows))


if __name__ == "__main__":
    run(main)
