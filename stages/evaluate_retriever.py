"""Measure a round's retriever on the test queries: the only stages that read the test set are the two that evaluate."""

from __future__ import annotations

from collections.abc import Sequence

from stages.opening import open_stage, run
from tandem.evaluation.measures import mean_measures, per_query
from tandem.formats.beir import read_qrels
from tandem.formats.jsonl import read_records, write_json
from tandem.hardware import device_name
from tandem.params import Section
from tandem.records import Document, Query, document_text
from tandem.retrievers.retriever import load_retriever, search


class Params(Section):
    """How to search."""

    depth: int
    """results a query"""
    chunk_documents: int
    """documents held as token vectors at once: bounds the memory"""


def main(argv: Sequence[str] | None = None) -> None:
    """Search the corpus exactly, write mean and per-query measures."""
    reads, writes = "corpus test weights", "metrics per_query"
    with open_stage("evaluate_retriever", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        documents = {d.doc_id: document_text(d) for d in read_records(paths.corpus, Document)}
        queries = {query.query_id: query.text for query in read_records(paths.test / "queries.jsonl", Query)}
        model = load_retriever(paths.weights, device=device_name())
        ranked = search(model, documents, queries, depth=params.depth, chunk_documents=params.chunk_documents)
        values = per_query(read_qrels(paths.test / "qrels.tsv"), ranked)
        means = mean_measures(values)
        write_json(paths.metrics, means)
        write_json(paths.per_query, values)
        tracked.log(means)


if __name__ == "__main__":
    run(main)
