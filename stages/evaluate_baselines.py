"""Measure what needs no training, as rounds are measured: BM25, the zero-shot dense encoder, the zero-shot ColBERT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from stages.opening import open_stage, run
from stages.sections import LexicalParams, RetrieverParams
from tandem.evaluation.collections import Search, measure_collections, read_collections
from tandem.evaluation.measures import mean_measures
from tandem.formats.jsonl import write_json
from tandem.hardware import device_name
from tandem.retrievers import bm25, colbert, dense
from tandem.settings import Depth, Seed, Tokens


class Params(LexicalParams):
    """Settings of the baselines that are not the retriever's own."""

    depth: Depth
    """results a query"""
    dense_maximum_tokens: Tokens
    retriever: RetrieverParams
    seed: Seed


def main(argv: Sequence[str] | None = None) -> None:
    """Search each corpus three ways, write mean and per-query measures."""
    reads, writes = "corpus test dev guard", "metrics per_query dev_values guard_values"
    with open_stage("evaluate_baselines", Params, argv, reads=reads, writes=writes) as (paths, params, tracked, _):
        collections = read_collections(paths.corpus, paths.test, paths.dev, paths.guard)
        shape, device = params.retriever, device_name()
        late_shape = shape.model_dump(exclude={"kind"})
        limit: dict[str, Any] = {"maximum_tokens": params.dense_maximum_tokens, "length_key": "dense_maximum_tokens"}
        bi_encoder = dense.load_dense(shape.encoder, prompts=late_shape["prompts"], **limit, keys="evaluate_baselines.", device=device)
        late = colbert.build_colbert(**late_shape, keys="retriever.", seed=params.seed, device=device)
        lexical: dict[str, Any] = {"settings": params.bm25, "language": params.language}
        systems: dict[str, Search] = {
            "bm25": partial(bm25.search, depth=params.depth, **lexical),
            "dense": partial(dense.search, bi_encoder, depth=params.depth),
            "colbert": partial(colbert.search, late, depth=params.depth),
        }
        values = {name: measure_collections(collections, find)[0] for name, find in systems.items()}
        means = {name: mean_measures(own["test"]) for name, own in values.items()}
        write_json(paths.metrics, means)
        for path, collection in ((paths.per_query, "test"), (paths.dev_values, "dev"), (paths.guard_values, "guard")):
            write_json(path, {name: own[collection] for name, own in values.items()})
        tracked.log({f"{name}/{key}": value for name, own in means.items() for key, value in own.items()})


if __name__ == "__main__":
    run(main)
