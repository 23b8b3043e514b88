"""Bring a collection into the project's form: corpus, labelled pairs to learn from, and a test set kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from stages.runtime import open_stage, run
from tandem.corpora.build import CorpusSettings, describe, load_collection
from tandem.corpora.near_duplicates import with_groups
from tandem.formats.beir import to_queries, write_qrels
from tandem.formats.jsonl import write_json, write_records


class Params(CorpusSettings):
    """The collection that the loop runs on; ``none`` is no choice here."""

    source: Literal["python_api", "beir", "files"]
    """python_api: docstrings of installed packages; beir: a BEIR folder or name; files: your documents"""


def main(argv: Sequence[str] | None = None) -> None:
    """Load the collection, group near duplicates, write everything whole."""
    with open_stage("prepare_corpus", Params, argv, writes="corpus train test manifest") as (paths, params, tracked, _):
        collection = load_collection(params, cache=Path(".scratch/downloads"))
        documents = with_groups(collection.documents, threshold=params.near_duplicate_threshold)
        queries, qrels = to_queries(collection.test)
        write_records(paths.corpus, documents)
        write_records(paths.train, collection.train)
        write_records(paths.test / "queries.jsonl", queries)
        write_qrels(paths.test / "qrels.tsv", qrels)
        write_json(paths.manifest, manifest := describe(collection, documents))
        tracked.log(manifest["counts"])


if __name__ == "__main__":
    run(main)
