"""Measure a round's retriever on the test queries, on the dev pairs and on the guard collection."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence

from stages.runtime import open_stage, run
from tandem.evaluation.collections import Judged, draw_queries, measure_collections, read_collections, top_documents, write_runs
from tandem.evaluation.measures import MeasuredDepth, mean_measures
from tandem.formats.jsonl import write_json
from tandem.retrievers.index.building import DENSE, VectorIndex, open_index
from tandem.retrievers.retriever import Retriever, has_dense_head, load_retriever, searcher
from tandem.runtime.hardware import device_name
from tandem.settings import CountOrZero, Seed, Settings


class Params(Settings):
    """How to search."""

    depth: MeasuredDepth
    """results a query"""
    check_queries: CountOrZero
    """drawn by seed and searched exactly as well, where the index is approximate: index/recall is what it finds of the exact results"""
    seed: Seed


def measure_dense_head(collections: Mapping[str, Judged], model: Retriever, paths: Namespace, *, depth: int) -> dict[str, float]:
    """Search with the dense vectors of a retriever of kind both; write their runs, an arm of the fusion, and return test means."""
    index = open_index(paths.index / DENSE, paths.weights, device=device_name(), model=model)
    guard = searcher(model, collections["guard"].documents, dense_head=True)
    values, runs = measure_collections(collections, index, guard, depth=depth)
    write_runs(paths.runs / DENSE, runs)
    return {f"{DENSE}/{key}": value for key, value in mean_measures(values["test"]).items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Search the round's index; write mean and per-query measures and the runs. Dev and guard values are what the gate reads."""
    reads, writes = "corpus test dev guard weights index", "metrics per_query dev_values guard_values top runs"
    with open_stage("evaluate_retriever", Params, argv, reads=reads, writes=writes, words="round") as (paths, params, tracked, _):
        collections, device = read_collections(paths.corpus, paths.test, paths.dev, paths.guard), device_name()
        model = load_retriever(paths.weights, device=device)
        index = open_index(paths.index, paths.weights, device=device, model=model)
        guard = searcher(model, collections["guard"].documents)
        values, runs = measure_collections(collections, index, guard, depth=params.depth)
        write_json(paths.metrics, means := mean_measures(values["test"]))
        write_json(paths.per_query, values["test"])
        write_json(paths.dev_values, values["dev"])
        write_json(paths.guard_values, values["guard"])
        write_json(paths.top, top_documents(runs["test"]))
        write_runs(paths.runs, runs)
        others = {
            f"{name}/{key}": value
            for name in ("dev", "guard")
            if collections[name].queries
            for key, value in mean_measures(values[name]).items()
        }
        tracked.log({**means, **others})
        if has_dense_head(model):
            tracked.log(measure_dense_head(collections, model, paths, depth=params.depth))
        if isinstance(index, VectorIndex):
            checked = draw_queries(collections["test"].queries, params.check_queries, seed=params.seed)
            tracked.log(index.measure(checked, depth=params.depth))


if __name__ == "__main__":
    run(main)
