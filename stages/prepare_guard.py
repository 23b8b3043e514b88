"""The guard collection, on which no retriever is trained: one that falls there does not become champion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.runtime import open_stage, run
from tandem.corpora.build import CorpusSettings, describe, load_collection
from tandem.formats.beir import to_queries, write_qrels
from tandem.formats.jsonl import write_json, write_records


class Params(CorpusSettings):
    """The guard collection, from the sources of prepare_corpus; ``none`` leaves the guard out."""


def main(argv: Sequence[str] | None = None) -> None:
    """Load the collection; its test queries are what retrievers are measured on."""
    with open_stage("prepare_guard", Params, argv, writes="guard") as (paths, params, tracked, _):
        collection = load_collection(params, cache=Path(".scratch/downloads"))
        queries, qrels = to_queries(collection.test)
        write_records(paths.guard / "corpus.jsonl", collection.documents)
        write_records(paths.guard / "queries.jsonl", queries)
        write_qrels(paths.guard / "qrels.tsv", qrels)
        write_json(paths.guard / "manifest.json", describe(collection, collection.documents))
        tracked.log({"documents": len(collection.documents), "queries": len(queries)})


if __name__ == "__main__":
    run(main)
