"""Measure what needs no training, as rounds are measured: BM25, the untouched dense encoder, the untouched ColBERT."""

from __future__ import annotations

from collections.abc import Sequence

from stages.runtime import open_stage, run
from tandem.evaluation.collections import measure_collections, read_collections, write_runs
from tandem.evaluation.measures import MeasuredDepth, mean_measures
from tandem.formats.jsonl import write_json
from tandem.retrievers.index.building import open_index
from tandem.retrievers.retriever import load_retriever, searcher
from tandem.runtime.hardware import device_name
from tandem.settings import Settings

SYSTEMS = ("bm25", "dense", "colbert")


class Params(Settings):
    """How to search."""

    depth: MeasuredDepth
    """results a query"""


def main(argv: Sequence[str] | None = None) -> None:
    """Search each corpus three ways; write mean and per-query measures, and the runs."""
    reads, writes = "corpus test dev guard baselines indexes", "metrics per_query dev_values guard_values runs"
    with open_stage("evaluate_baselines", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        collections = read_collections(paths.corpus, paths.test, paths.dev, paths.guard)
        values = {}
        for name in SYSTEMS:
            weights, device = paths.baselines / name / "weights", device_name()
            model = load_retriever(weights, device=device)
            index = open_index(paths.indexes / name, weights, device=device, model=model)
            guard = searcher(model, collections["guard"].documents)
            values[name], runs = measure_collections(collections, index, guard, depth=params.depth)
            write_runs(paths.runs / name, runs)
        means = {name: mean_measures(measures["test"]) for name, measures in values.items()}
        write_json(paths.metrics, means)
        for path, collection in ((paths.per_query, "test"), (paths.dev_values, "dev"), (paths.guard_values, "guard")):
            write_json(path, {name: measures[collection] for name, measures in values.items()})
        tracked.log({f"{name}/{key}": value for name, measures in means.items() for key, value in measures.items()})


if __name__ == "__main__":
    run(main)
