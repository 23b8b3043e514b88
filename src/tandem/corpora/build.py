"""A collection from whichever source params.yaml names, and its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tandem.corpora import beir, files, python_api
from tandem.corpora.collection import Collection, SourceError, without_test_queries
from tandem.corpora.near_duplicates import duplicate_groups
from tandem.formats.errors import InputError
from tandem.records import Document, document_text
from tandem.text import count_words

__all__ = ["describe", "load_collection", "to_lines"]


def load_collection(
    *,
    source: str,
    packages: Sequence[str],
    documents: int,
    test_queries: int,
    path: str,
    name: str,
    test_split: str,
    pairs: str,
    test_share: float,
    near_duplicate_queries: float | None,
    seed: int,
    cache: Path,
    section: str = "prepare_corpus",
) -> Collection:
    """Load from one source; training pairs whose query is also a test query are left out.

    Args:
        source: ``python_api``, ``beir``, ``files`` or ``none`` (empty); each reads the arguments of its loader.
        packages: python_api.
        documents: python_api.
        test_queries: python_api.
        path: beir and files.
        name: beir, where ``path`` is empty.
        test_split: beir.
        pairs: files.
        test_share: files.
        near_duplicate_queries: similarity from which a training query that is nearly a test query is left out too; None leaves it in.
        seed: of draws and splits.
        cache: downloads live here.
        section: of params.yaml that the values are from, for errors.

    Raises:
        InputError: names the file and line, or the key, the value and what is allowed.
    """
    try:
        if source == "python_api":
            collection = python_api.build_collection(
                packages, documents=documents, test_queries=test_queries, seed=seed, duplicate_groups=duplicate_groups
            )
        elif source == "beir":
            folder = Path(path) if path else beir.download(name, cache)
            collection = beir.load_folder(folder, test_split=test_split)
        elif source == "none":
            collection = Collection([], [], [])
        elif not path:  # "" would be the current folder
            raise SourceError("path: '' found; source files takes a folder, or a .jsonl or .csv file")
        else:
            collection = files.load_files(Path(path), pairs=Path(pairs) if pairs else None, test_share=test_share)
    except SourceError as error:
        raise InputError(f"{section}.{error}") from None
    train = without_test_queries(collection.train, collection.test, threshold=near_duplicate_queries)
    kept = {(pair.query_id, pair.doc_id) for pair in train}
    barred = dict.fromkeys(pair.query_id for pair in collection.train if (pair.query_id, pair.doc_id) not in kept)
    left_out = {**collection.left_out, **({"training query that is a test query": list(barred)} if barred else {})}
    return replace(collection, train=train, left_out=left_out)


def describe(collection: Collection, documents: Sequence[Document]) -> dict[str, Any]:
    """The manifest: counts, what was left out by reason, what the bytes come from, and a digest of documents, pairs and judgements."""
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
