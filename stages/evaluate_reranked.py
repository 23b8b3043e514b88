"""The champion with a reranker on top: the judge's scores of its first documents mixed with the retriever's; and the reranker's gate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import orjson

from stages.runtime import open_stage, run
from tandem.evaluation.collections import read_collections, read_runs
from tandem.evaluation.measures import mean_measures
from tandem.evaluation.reranked import RerankedSettings, measure_reranked
from tandem.formats.jsonl import write_json
from tandem.rerankers.judge import JudgeSettings, load_judge, rerank
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Depth


class Params(RerankedSettings):
    """What is reranked, and when the reranker is worth it."""

    rerank_depth: Depth
    """results of the champion that the reranker scores, a query"""
    relevance: JudgeSettings
    precision: Precision


def main(argv: Sequence[str] | None = None) -> None:
    """Read the champion, its weights and the reranker; write its system for the comparison, and whether it is champion of its role."""
    reads, writes = "corpus test dev champions runs fused reranker", "gate per_query"
    with open_stage("evaluate_reranked", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        retriever = orjson.loads(paths.champions.read_bytes())["retriever"]
        champion = retriever["champion"]
        device, bf16 = device_name(), use_bf16(params.precision)
        judge = load_judge(params.relevance, paths.reranker, device=device, bf16=bf16)
        collections = read_collections(paths.corpus, paths.test, paths.dev) if judge else {}
        folder = (paths.fused if (paths.fused / champion).is_dir() else paths.runs) / champion
        runs = read_runs(folder, ("test", "dev"))
        rescore = partial(rerank, judge, depth=params.rerank_depth) if judge else None
        systems, gate = measure_reranked(champion, collections, runs, rescore, params)
        write_json(paths.gate, gate)
        write_json(paths.per_query, systems)
        tracked.log({f"{name}/{key}": value for name, values in systems.items() for key, value in mean_measures(values).items()})


if __name__ == "__main__":
    run(main)
