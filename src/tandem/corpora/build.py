"""A collection from the source that its settings name, and its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypedDict

from pydantic import Field

from tandem.corpora import beir, files, python_api
from tandem.corpora.collection import Collection, without_test_queries
from tandem.records import Document, document_text
from tandem.settings import Count, PositiveShare, Seed, SettingError, Settings, Share
from tandem.text import count_words

__all__ = ["CorpusSettings", "LeftOut", "Manifest", "describe", "load_collection", "to_lines"]


class CorpusSettings(Settings):
    """Where the documents and judgements of a collection come from."""

    source: Literal["python_api", "beir", "files", "none"]
    """python_api: docstrings of installed packages; beir: a BEIR folder or name; files: your documents; none: no collection"""
    packages: list[str] = Field(default_factory=list)
    """python_api: names of installed packages"""
    documents: Count = 1500
    """python_api: how many to draw"""
    test_queries: Count = 300
    """python_api: of the drawn documents' queries, how many to measure with"""
    path: str = ""
    """beir, files: folder or file"""
    name: str = ""
    """beir: name of a published data set, downloaded where path is empty"""
    test_split: str = "test"
    """beir: the qrels to measure with"""
    pairs: str = ""
    """files: JSONL or CSV of labelled pairs (query, doc_id); may be empty"""
    test_share: Share = 0.5
    """files: share of the labelled queries to measure with"""
    near_duplicate_threshold: PositiveShare = 0.8
    """Jaccard similarity from which two documents are near duplicates"""
    near_duplicate_queries: PositiveShare | None = None
    """similarity of words from which a training query that is nearly a test query is left out too; null leaves it in"""
    seed: Seed
    """of draws and splits"""


def load_collection(settings: CorpusSettings, *, cache: Path) -> Collection:
    """Load a collection from its source; training pairs whose query is also a test query are left out.

    Args:
        settings: which source, and its values.
        cache: downloads live here.

    Raises:
        InputError: names the file and line.
        SettingError: names the key, the value and what is allowed.
    """
    collection = _load(settings, cache)
    train = without_test_queries(collection.train, collection.test, threshold=settings.near_duplicate_queries)
    kept = {(pair.query_id, pair.doc_id) for pair in train}
    barred = dict.fromkeys(pair.query_id for pair in collection.train if (pair.query_id, pair.doc_id) not in kept)
    left_out = {**collection.left_out, **({"training query that is a test query": list(barred)} if barred else {})}
    return replace(collection, train=train, left_out=left_out)


def _load(settings: CorpusSettings, cache: Path) -> Collection:
    match settings.source:
        case "none":
            return Collection([], [], [])
        case "python_api":
            documents, test_queries = settings.documents, settings.test_queries
            return python_api.build_collection(settings.packages, documents=documents, test_queries=test_queries, seed=settings.seed)
        case "beir":
            folder = Path(settings.path) if settings.path else beir.download(settings.name, cache)
            return beir.load_folder(folder, test_split=settings.test_split)
        case "files":
            if not settings.path:  # "" would be the current folder
                raise SettingError("path", "'' found; source files takes a folder, or a .jsonl or .csv file")
            pairs = Path(settings.pairs) if settings.pairs else None
            return files.load_files(Path(settings.path), pairs=pairs, test_share=settings.test_share)


class LeftOut(TypedDict):
    """What a collection lacks of its source, for one reason."""

    count: int
    names: Sequence[str]


class Manifest(TypedDict):
    """What a collection is: counts, what was left out by reason, what its bytes come from, and their digest."""

    counts: dict[str, int]
    left_out: dict[str, LeftOut]
    sources: dict[str, str]
    sha256: str


def describe(collection: Collection, documents: Sequence[Document]) -> Manifest:
    """The manifest of a collection; the digest is that of documents, pairs and judgements."""
    digest = hashlib.sha256()
    for row in [*documents, *collection.train, *collection.test]:
        digest.update(row.model_dump_json().encode())
    return {
        "counts": {
            "documents": len(documents),
            "near_duplicates": sum(bool(document.group) for document in documents),
            "train_pairs": len(collection.train),
            "train_queries": len({pair.query_id for pair in collection.train}),
            "test_judgements": len(collection.test),
            "test_queries": len({pair.query_id for pair in collection.test}),
        },
        "left_out": {reason: {"count": len(names), "names": names} for reason, names in collection.left_out.items()},
        "sources": collection.sources,
        "sha256": digest.hexdigest(),
    }


def to_lines(collection: Collection, documents: Sequence[Document]) -> list[str]:
    """What the pipeline makes of a source, as lines to read: counts, lengths, and everything that it leaves out, with its name.

    Args:
        collection: from :func:`load_collection`.
        documents: the same, with groups of near duplicates.
    """
    words = sorted(count_words(document_text(document)) for document in documents)
    lines = [
        f"documents         {len(documents)}",
        f"words a document  median {words[len(words) // 2]}, longest {words[-1]}",
        f"near duplicates   {sum(bool(document.group) for document in documents)} (kept; none is a negative or a competitor of another)",
    ]
    for name, split in (("train", collection.train), ("test", collection.test)):
        lines.append(f"{name:<17} {len(split)} pairs, {len({pair.query_id for pair in split})} queries")
    for reason, names in collection.left_out.items():
        lines.append(f"left out          {len(names)} x {reason}: {', '.join(names)}")
    if not collection.test:
        lines.append("There is nothing to measure with: evaluation needs test judgements. Training needs none.")
    return lines
