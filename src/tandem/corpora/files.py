"""Your own documents: a JSONL or CSV file, or a folder of text files, with or without labelled pairs."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tandem.corpora.collection import Collection
from tandem.formats.jsonl import InputError, read_json_lines
from tandem.records import Document, LabelledPair
from tandem.text import normalize_query

__all__ = ["load_documents", "load_files", "load_pairs"]

ID_KEYS = ("doc_id", "_id", "id")
TEXT_SUFFIXES = {".txt", ".md", ".rst"}
ROW_SUFFIXES = {".jsonl", ".csv"}


def load_files(path: Path, *, pairs: Path | None = None, test_share: float = 0.5) -> Collection:
    """Documents from ``path`` and, where given, labelled pairs, of which a share of the queries is kept for testing.

    Args:
        path: a JSONL or CSV file, or a folder of .txt, .md and .rst files.
        pairs: a JSONL or CSV file with ``query`` and ``doc_id``; without one there is nothing to measure with.
        test_share: of the queries, drawn by a hash of their text, so that the split does not move as pairs are added.

    Raises:
        InputError: names the file, the line and what is allowed.
    """
    documents = load_documents(path)
    if pairs is None:
        return Collection(documents, [], [], {"files": path.name})
    labelled = load_pairs(pairs, {document.doc_id for document in documents})
    train: list[LabelledPair] = []
    test: list[LabelledPair] = []
    for pair in labelled:
        draw = int.from_bytes(hashlib.sha256(normalize_query(pair.text).encode()).digest()[:8], "big") / 2**64
        (test if draw < test_share else train).append(pair)
    return Collection(documents, train, test, {"files": path.name, "pairs": pairs.name})


def load_documents(path: Path) -> list[Document]:
    """The documents of a file or folder, in the order of lines or of sorted paths."""
    if path.is_dir():
        documents = _read_folder(path)
    elif path.suffix in ROW_SUFFIXES:
        documents = _read_rows(path)
    else:
        raise InputError(
            f"prepare_corpus.path: '{path}' found; allowed: an existing folder with {', '.join(sorted(TEXT_SUFFIXES))} "
            "files, or a .jsonl or .csv file"
        )
    if not documents:
        raise InputError(f"{path}: no document in it; .jsonl and .csv need a column 'text', a folder needs text files")
    return documents


def load_pairs(path: Path, doc_ids: set[str]) -> list[LabelledPair]:
    """Labelled pairs (``query``, ``doc_id``); equal query texts are one query.

    Raises:
        InputError: a missing column, an empty query, or a document that is not in the corpus.
    """
    pairs = []
    for number, row in _rows(path):
        text, doc_id = str(row.get("query") or "").strip(), str(row.get("doc_id") or "")
        if not text:
            raise InputError(f"{path}:{number}: query: nothing found, a text is expected (columns: query, doc_id)")
        if doc_id not in doc_ids:
            raise InputError(f"{path}:{number}: doc_id: '{doc_id}' found, which is no document of the corpus")
        query_id = "q" + hashlib.sha256(normalize_query(text).encode()).hexdigest()[:12]
        pairs.append(LabelledPair(query_id=query_id, text=text, doc_id=doc_id))
    return pairs


def _read_rows(path: Path) -> list[Document]:
    documents: dict[str, Document] = {}
    for number, row in _rows(path):
        text = row.get("text")
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{path}:{number}: text: {text!r:.60} found, a text that is not empty is expected")
        found = next((row[key] for key in ID_KEYS if row.get(key) not in (None, "")), None)
        doc_id = str(found) if found is not None else f"{path.stem}-{number}"
        if doc_id in documents:
            raise InputError(f"{path}:{number}: doc_id '{doc_id}' stands in the file a second time")
        documents[doc_id] = Document(doc_id=doc_id, title=str(row.get("title") or ""), text=text)
    return list(documents.values())


def _read_folder(folder: Path) -> list[Document]:
    documents = []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in TEXT_SUFFIXES or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf8").strip()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 at byte {error.start}; convert the file or take it out") from None
        if text:
            documents.append(Document(doc_id=str(path.relative_to(folder)), text=text))
    return documents


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix == ".jsonl":
        yield from read_json_lines(path)
        return
    if path.suffix != ".csv" or not path.is_file():
        raise InputError(f"{path}: a .jsonl or .csv file that exists is expected")
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(f"{path}:{reader.line_num}: not as many cells as the header has columns")
                yield reader.line_num, row
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path}:{reader.line_num}: not CSV in UTF-8: {error}") from None
