"""Measure what needs no training on the test queries: BM25, the zero-shot dense encoder, the zero-shot ColBERT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.opening import open_stage, run
from stages.sections import RetrieverParams
from tandem.evaluation.measures import measure_runs
from tandem.formats.beir import read_qrels
from tandem.formats.jsonl import read_records, write_json
from tandem.hardware import device_name
from tandem.params import Section
from tandem.records import Document, Query, document_text
from tandem.retrievers import bm25, colbert, dense


class Params(Section):
    """Settings of the baselines that are not the retriever's own."""

    depth: int
    """results a query"""
    bm25_k1: float
    bm25_b: float
    bm25_stop_words: str
    dense_maximum_tokens: int
    retriever: RetrieverParams
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Search the corpus three ways, write mean and per-query measures."""
    reads, writes = "corpus test", "metrics per_query"
    with open_stage("evaluate_baselines", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        documents = {d.doc_id: document_text(d) for d in read_records(paths.corpus, Document)}
        queries = {query.query_id: query.text for query in read_records(paths.test / "queries.jsonl", Query)}
        qrels = read_qrels(paths.test / "qrels.tsv")
        shape, device = params.retriever, device_name()
        bi_encoder = dense.load_dense(shape.encoder, maximum_tokens=params.dense_maximum_tokens, device=device)
        late = colbert.build_colbert(**shape.model_dump(exclude={"kind"}), seed=params.seed, device=device)
        lexical: dict[str, Any] = {"k1": params.bm25_k1, "b": params.bm25_b, "stop_words": params.bm25_stop_words}
        runs = {
            "bm25": bm25.search(documents, queries, depth=params.depth, **lexical),
            "dense": dense.search(bi_encoder, documents, queries, depth=params.depth),
            "colbert": colbert.search(late, documents, queries, depth=params.depth),
        }
        values, means = measure_runs(qrels, runs)
        write_json(paths.metrics, means)
        write_json(paths.per_query, values)
        tracked.log({f"{name}/{key}": value for name, own in means.items() for key, value in own.items()})


if __name__ == "__main__":
    run(main)
