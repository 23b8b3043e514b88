"""Measure what needs no training, as rounds are measured: BM25, the untouched dense encoder, the untouched ColBERT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from stages.opening import open_stage, run
from tandem.evaluation.collections import measure_collections, read_collections
from tandem.evaluation.measures import MeasuredDepth, mean_measures
from tandem.formats.jsonl import write_json
from tandem.retrievers.retriever import load_retriever, search
from tandem.runtime.hardware import device_name
from tandem.settings import Settings

SYSTEMS = ("bm25", "dense", "colbert")


class Params(Settings):
    """How to search."""

    depth: MeasuredDepth
    """results a query"""


def main(argv: Sequence[str] | None = None) -> None:
    """Search each corpus three ways, write mean and per-query measures."""
    reads, writes = "corpus test dev guard baselines", "metrics per_query dev_values guard_values"
    with open_stage("evaluate_baselines", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        collections, device = read_collections(paths.corpus, paths.test, paths.dev, paths.guard), device_name()
        models = {name: load_retriever(paths.baselines / name / "weights", device=device) for name in SYSTEMS}
        values = {name: measure_collections(collections, partial(search, model, depth=params.depth))[0] for name, model in models.items()}
        means = {name: mean_measures(own["test"]) for name, own in values.items()}
        write_json(paths.metrics, means)
        for path, collection in ((paths.per_query, "test"), (paths.dev_values, "dev"), (paths.guard_values, "guard")):
            write_json(path, {name: own[collection] for name, own in values.items()})
        tracked.log({f"{name}/{key}": value for name, own in means.items() for key, value in own.items()})


if __name__ == "__main__":
    run(main)
