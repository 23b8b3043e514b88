"""Keep the queries that find their source document in BM25, candidate-set and dense runs, and that it answers."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.filters.chain import FilterSettings, filter_and_rate
from tandem.filters.relevance import RelevanceSettings
from tandem.formats.corpus import Corpus
from tandem.formats.jsonl import read_records, write_json, write_records
from tandem.formats.tables import write_table
from tandem.records import LabelledPair, PseudoQuery
from tandem.rerankers.judge import JudgeSettings, load_judge
from tandem.retrievers.bm25 import LexicalSettings
from tandem.retrievers.filter_runs import FilterRuns
from tandem.retrievers.index.building import open_index
from tandem.runtime.hardware import Precision, device_name, use_bf16
from tandem.settings import Seed


class Params(FilterSettings, LexicalSettings):
    """The chain, its runs and its judge."""

    keep_relevant: RelevanceSettings
    """judged after the rules, on what they keep"""
    relevance: JudgeSettings
    precision: Precision
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Read queries, corpus, dev pairs and the dense filter; write all rows with status, the funnel and the keep rates."""
    reads, writes = "corpus dev queries encoder indexes reranker", "filtered funnel metrics"
    with open_stage("filter_queries", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        corpus, device = Corpus(paths.corpus), device_name()
        dense = open_index(paths.indexes / "filter", paths.encoder, device=device)
        runs = FilterRuns(
            corpus,
            {"bm25": open_index(paths.indexes / "bm25"), "dense": dense},
            depth=params.depth,
            candidates=params.candidates,
            bm25=params.bm25,
            language=params.language,
            seed=params.seed,
        )
        judged = params.keep_relevant != RelevanceSettings()
        rows, steps, rates = filter_and_rate(
            read_records(paths.queries, PseudoQuery),
            read_records(paths.dev, LabelledPair),
            corpus,
            runs.search,
            params,
            judge=load_judge(params.relevance, paths.reranker, device=device, bf16=use_bf16(params.precision)) if judged else None,
            relevance=params.keep_relevant,
        )
        write_records(paths.filtered, rows)
        write_table(paths.funnel, steps, ["filter", "left"])
        write_json(paths.metrics, rates)
        tracked.log(rates)


if __name__ == "__main__":
    run(main)
