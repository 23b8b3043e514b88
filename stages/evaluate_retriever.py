"""Measure a round's retriever on the test queries: the only stages that read the test set are the two that evaluate."""

from __future__ import annotations

from collections.abc import Sequence

from stages.arguments import parse, run
from tandem.evaluation.measures import mean_measures, per_query
from tandem.formats.beir import read_qrels
from tandem.formats.jsonl import read_records, write_json
from tandem.hardware import device_name
from tandem.params import Section, load_params
from tandem.records import Document, Query, document_text
from tandem.retrievers.colbert import load_colbert, search
from tandem.tracking import record


class Params(Section):
    """How to search."""

    depth: int
    """results a query"""
    chunk_documents: int
    """documents held as token vectors at once: bounds the memory"""


def main(argv: Sequence[str] | None = None) -> None:
    """Search the corpus exactly, write mean and per-query measures."""
    paths = ["corpus", "test", "weights", "metrics", "per_query", "record"]
    arguments = parse(__doc__, argv, *paths, words=["round"])
    params = load_params(arguments.params, "evaluate_retriever", Params)
    with record("evaluate_retriever", params, arguments.record, round_id=arguments.round) as tracked:
        documents = {d.doc_id: document_text(d) for d in read_records(arguments.corpus, Document)}
        queries = {query.query_id: query.text for query in read_records(arguments.test / "queries.jsonl", Query)}
        model = load_colbert(arguments.weights, device=device_name())
        ranked = search(model, documents, queries, depth=params.depth, chunk_documents=params.chunk_documents)
        values = per_query(read_qrels(arguments.test / "qrels.tsv"), ranked)
        means = mean_measures(values)
        write_json(arguments.metrics, means)
        write_json(arguments.per_query, values)
        tracked.log(means)


if __name__ == "__main__":
    run(main)
