"""The champion with a reranker on top: its first documents in the judge's order, mixed with its own scores; and the reranker's gate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

import orjson
from pydantic import model_validator

from stages.filter_sections import RelevanceParams
from stages.opening import open_stage, run
from tandem.evaluation.collections import read_collections
from tandem.evaluation.measures import MeasuredDepth, mean_measures
from tandem.evaluation.reranked import RerankedSettings, measure_reranked
from tandem.formats.jsonl import write_json
from tandem.rerankers.judge import load_judge, rerank
from tandem.retrievers.retriever import load_retriever, search
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Count, Depth


class Params(RerankedSettings):
    """What is reranked, and when the reranker is worth it."""

    depth: MeasuredDepth
    """results of the champion, a query"""
    rerank_depth: Depth
    """of them, those that the reranker scores"""

    chunk_documents: Count
    relevance: RelevanceParams
    precision: Precision

    @model_validator(mode="after")
    def _reranked_within_depth(self) -> Self:
        if self.rerank_depth > self.depth:
            raise ValueError(f"rerank_depth: {self.rerank_depth} found, at most depth, {self.depth}, is allowed")
        return self


def main(argv: Sequence[str] | None = None) -> None:
    """Read the champion, its weights and the reranker; write its system for the comparison, and whether it is champion of its role."""
    reads, writes = "corpus test dev champions rounds baselines reranker", "gate per_query"
    with open_stage("evaluate_reranked", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        retriever = orjson.loads(paths.champions.read_bytes())["retriever"]
        champion = retriever["champion"]
        device, bf16 = device_name(), use_bf16(params.precision)
        judge = load_judge(trained=paths.reranker, **dict(params.relevance), device=device, bf16=bf16)
        collections = read_collections(paths.corpus, paths.test, paths.dev) if judge else {}
        model = load_retriever(Path(retriever["folder"], "weights"), device=device)
        find = partial(search, model, depth=params.depth, chunk_documents=params.chunk_documents)
        rescore = partial(rerank, judge, depth=params.rerank_depth) if judge else None
        systems, gate = measure_reranked(champion, collections, find, rescore, params)
        write_json(paths.gate, gate)
        write_json(paths.per_query, systems)
        tracked.log({f"{name}/{key}": value for name, own in systems.items() for key, value in mean_measures(own).items()})


if __name__ == "__main__":
    run(main)
