"""Measure one reranker on the test queries: the first documents of BM25, rescored, by itself and mixed with BM25's scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from stages.runtime import open_stage, run
from tandem.evaluation.interpolation import choose_weight, interpolate
from tandem.evaluation.measures import MeasuredDepth, measure_runs
from tandem.formats.beir import read_qrels
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_json
from tandem.records import LabelledPair, Query
from tandem.rerankers.candidates import queries_of
from tandem.rerankers.reranker import Reranker
from tandem.retrievers.bm25 import BM25Index
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import BatchSize, Settings


class Params(Settings):
    """What is rescored."""

    depth: MeasuredDepth
    """documents of BM25 a query"""
    dev_depth: Annotated[int, Field(ge=10, le=1_000_000)]
    """of a dev query, at least the 10 of nDCG@10; dev queries choose the weight that the reranker has beside BM25"""
    batch_size: BatchSize
    precision: Precision


def main(argv: Sequence[str] | None = None) -> None:
    """Read corpus, test set and model; write mean and per-query measures of BM25 and of the reranker over it."""
    reads, writes = "corpus index dev test weights", "metrics per_query"
    with open_stage("evaluate_reranker", Params, argv, reads=reads, writes=writes, words="name") as (paths, params, tracked, _):
        documents = Corpus(paths.corpus).texts
        queries = {query.query_id: query.text for query in read_records(paths.test / "queries.jsonl", Query)}
        dev_pairs = read_records(paths.dev, LabelledPair)
        dev_queries = queries_of(dev_pairs)
        index = BM25Index.load(paths.index)
        first, dev_first = index.search(queries, depth=params.depth), index.search(dev_queries, depth=params.dev_depth)
        reranker = Reranker(str(paths.weights), device=device_name(), bf16=use_bf16(params.precision))
        rescored = reranker.rerank_run(first, queries, documents, depth=params.depth, batch_size=params.batch_size)
        dev_rescored = reranker.rerank_run(dev_first, dev_queries, documents, depth=params.dev_depth, batch_size=params.batch_size)
        weight = choose_weight(dev_rescored, dev_first, [(pair.query_id, pair.doc_id) for pair in dev_pairs])
        runs = {"bm25": first, paths.name: rescored, f"{paths.name}+bm25": interpolate(rescored, first, weight)}
        values, means = measure_runs(read_qrels(paths.test / "qrels.tsv"), runs)
        write_json(paths.metrics, means)
        write_json(paths.per_query, values)
        tracked.log({"weight": weight})
        tracked.log({f"{name}/{key}": value for name, measures in means.items() for key, value in measures.items()})


if __name__ == "__main__":
    run(main)
