"""Keep the queries that bring back their own document: round-trip rules over BM25, candidate-set and dense runs."""

from __future__ import annotations

from collections.abc import Sequence

from stages.opening import open_stage, run
from tandem.filters.chain import Rule, filter_rows, keep_rate
from tandem.formats.jsonl import read_records, write_json, write_records
from tandem.formats.tables import write_table
from tandem.hardware import device_name
from tandem.params import Section
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers.filter_runs import FilterRuns


class Params(Section):
    """The rules, in order; a row is rejected by the first that it fails, and gets every rank all the same."""

    rules: list[Rule]
    minimum_words: int
    maximum_words: int
    depth: int
    """of the runs; beyond the largest k"""
    candidates: int
    """of bm25_sampled: other documents a query"""
    bm25_k1: float
    bm25_b: float
    bm25_stop_words: str
    seed: int


def main(argv: Sequence[str] | None = None) -> None:
    """Read queries, corpus, dev pairs and the dense filter; write all rows with status, the funnel and the keep rates."""
    reads, writes = "corpus dev queries encoder vectors", "filtered funnel metrics"
    with open_stage("filter_queries", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        corpus = read_records(paths.corpus, Document)
        runs = FilterRuns(
            corpus,
            paths.encoder,
            paths.vectors,
            device=device_name(),
            **params.model_dump(exclude={"rules", "minimum_words", "maximum_words"}),
        )
        settings = params.model_dump(include={"minimum_words", "maximum_words"})
        rows, steps = filter_rows(read_records(paths.queries, PseudoQuery), corpus, runs.search, rules=params.rules, **settings)
        real = keep_rate(read_records(paths.dev, LabelledPair), corpus, runs.search, rules=params.rules, **settings)
        kept = sum(row.status == "kept" for row in rows)
        rates = {"generated": len(rows), "kept": kept, "keep_rate": kept / max(len(rows), 1), **real}
        write_records(paths.filtered, rows)
        write_table(paths.funnel, steps, ["filter", "left"])
        write_json(paths.metrics, rates)
        tracked.log(rates)


if __name__ == "__main__":
    run(main)
