"""Measure a round's retriever on the test queries, on the dev pairs and on the guard collection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from stages.opening import open_stage, run
from tandem.evaluation.collections import Search, measure_collections, read_collections, top_documents
from tandem.evaluation.measures import MeasuredDepth, mean_measures
from tandem.formats.jsonl import write_json
from tandem.retrievers.indexes import IndexSettings, search_logged
from tandem.retrievers.retriever import load_retriever, search
from tandem.runtime.hardware import device_name
from tandem.settings import Count, Seed, Settings


class Params(Settings):
    """How to search."""

    depth: MeasuredDepth
    """results a query"""
    chunk_documents: Count
    """documents held as token vectors at once: bounds the memory"""
    index: IndexSettings
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Search the corpus, write mean and per-query measures; dev and guard values are what the gate reads."""
    reads, writes = "corpus test dev guard weights", "metrics per_query dev_values guard_values top"
    with open_stage("evaluate_retriever", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, scratch):
        collections = read_collections(paths.corpus, paths.test, paths.dev, paths.guard)
        model = load_retriever(paths.weights, device=device_name())
        find: Search = partial(search, model, depth=params.depth, chunk_documents=params.chunk_documents)
        if params.index.kind != "exact":
            settings: dict[str, Any] = {"depth": params.depth, "settings": params.index, "seed": params.seed}
            find = partial(search_logged, model, folder=scratch / "indexes", log=tracked.log, **settings)
        values, runs = measure_collections(collections, find)
        write_json(paths.metrics, means := mean_measures(values["test"]))
        write_json(paths.per_query, values["test"])
        write_json(paths.dev_values, values["dev"])
        write_json(paths.guard_values, values["guard"])
        write_json(paths.top, top_documents(runs["test"]))
        others = {
            f"{name}/{key}": value
            for name in ("dev", "guard")
            if collections[name].queries
            for key, value in mean_measures(values[name]).items()
        }
        tracked.log({**means, **others})


if __name__ == "__main__":
    run(main)
