"""The source of one's files: a JSONL or CSV file, or a folder of text files, with or without labelled pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection as Ids
from pathlib import Path

from tandem.corpora.collection import Collection
from tandem.corpora.text_folder import TEXT_SUFFIXES, read_folder
from tandem.formats.errors import InputError
from tandem.formats.identifiers import read_identifier, read_relevance
from tandem.formats.rows import ROW_SUFFIXES, read_rows
from tandem.records import Document, LabelledPair
from tandem.settings import SettingError
from tandem.text import normalize_query

__all__ = ["load_documents", "load_files", "load_pairs"]

ID_KEYS = ("doc_id", "_id", "id")
EMPTY = "document with neither title nor text"
LeftOut = dict[str, list[str]]


def load_files(path: Path, *, pairs: Path | None = None, test_share: float = 0.5) -> Collection:
    """Documents from ``path`` and, where given, labelled pairs, of which a share of the queries is kept for testing.

    Args:
        path: a JSONL or CSV file, or a folder of .txt, .md and .rst files.
        pairs: a JSONL or CSV file with ``query`` and ``doc_id``; without one there is nothing to measure with.
        test_share: of the queries, drawn by a hash of their text, so that the split does not move as pairs are added.

    Raises:
        InputError: names the file, the line and what is allowed.
    """
    documents, left_out = load_documents(path)
    if pairs is None:
        return Collection(documents, [], [], {"files": path.name}, left_out)
    doc_ids = {document.doc_id for document in documents}
    labelled, lost = load_pairs(pairs, doc_ids, left_out=frozenset(left_out.get(EMPTY, ())))
    train: list[LabelledPair] = []
    test: list[LabelledPair] = []
    for pair in labelled:
        draw = int.from_bytes(hashlib.sha256(normalize_query(pair.text).encode()).digest()[:8], "big") / 2**64
        (test if draw < test_share else train).append(pair)
    return Collection(documents, train, test, {"files": path.name, "pairs": pairs.name}, left_out | lost)


def load_documents(path: Path) -> tuple[list[Document], LeftOut]:
    """The documents of a file or folder, in the order of lines or of sorted paths, and what was left out, by reason.

    Raises:
        InputError: neither file nor folder, a bad line, or no document.
    """
    if path.is_dir():
        documents, left_out = read_folder(path)
    elif path.suffix.lower() in ROW_SUFFIXES:
        documents, left_out = _read_documents(path)
    else:
        raise SettingError(
            "path", f"'{path}' found; allowed: an existing folder with {', '.join(sorted(TEXT_SUFFIXES))} files, or a .jsonl or .csv file"
        )
    if not documents:
        told = "".join(f"; {len(names)} left out: {reason}" for reason, names in left_out.items())
        raise InputError(f"{path}: no document in it; .jsonl and .csv need a column 'text', a folder needs text files{told}")
    return documents, left_out


def load_pairs(path: Path, doc_ids: Ids[str], *, left_out: Ids[str] = ()) -> tuple[list[LabelledPair], LeftOut]:
    """Labelled pairs (``query``, ``doc_id``, and ``relevance`` where there are levels), and what was left out, by reason, as file and line.

    Queries that differ in case and white space alone are one query, spelled as the first of them; of equal pairs one is kept.

    Args:
        path: a JSONL or CSV file.
        doc_ids: of the corpus.
        left_out: ids of documents that were left out of it, and whose pairs go with them.

    Raises:
        InputError: a missing column, an empty query, a document that is not there, or two judgements that contradict.
    """
    pairs: dict[tuple[str, str], LabelledPair] = {}
    judged: dict[tuple[str, str], int] = {}
    spelling: dict[str, str] = {}
    lost: LeftOut = {}
    for line_number, row in read_rows(path, required=("query", "doc_id")):
        text, where = row["query"], f"{path}:{line_number}"
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{where}: query: {text!r:.60} found, a text that is not empty is expected (columns: query, doc_id)")
        doc_id = read_identifier(row["doc_id"], where=f"{where}: doc_id:")
        if doc_id in left_out:
            lost.setdefault(f"pair of a {EMPTY}", []).append(f"{path.name}:{line_number}")
            continue
        if doc_id not in doc_ids:
            raise InputError(f"{where}: doc_id: '{doc_id}' found, which is no document of the corpus; add it there or take the pair out")
        key, level = normalize_query(text), row.get("relevance")
        relevance = 1 if level in (None, "") else read_relevance(level, where=f"{where}: relevance:")
        earlier = judged.setdefault((key, doc_id), relevance)
        if earlier != relevance:
            raise InputError(f"{where}: relevance: {relevance} found after {earlier} for the same pair; one of the lines has to go")
        if (key, doc_id) in pairs:
            lost.setdefault("pair that stands there before, merged with it", []).append(f"{path.name}:{line_number}")
        elif relevance <= 0:
            lost.setdefault("pair judged not relevant", []).append(f"{path.name}:{line_number}")
        else:
            query_id = "q" + hashlib.sha256(key.encode()).hexdigest()[:12]
            text = spelling.setdefault(key, text.strip())
            pairs[key, doc_id] = LabelledPair(query_id=query_id, text=text, doc_id=doc_id, relevance=relevance)
    return list(pairs.values()), lost


def _read_documents(path: Path) -> tuple[list[Document], LeftOut]:
    documents: list[Document] = []
    empty: list[str] = []
    seen: set[str] = set()
    for line_number, row in read_rows(path, required=("text",)):
        where = f"{path}:{line_number}"
        held = next((row[key] for key in ID_KEYS if row.get(key) not in (None, "")), f"{path.stem}-{line_number}")
        doc_id = read_identifier(held, where=f"{where}: doc_id:")
        if doc_id in seen:
            raise InputError(f"{where}: doc_id '{doc_id}' stands in the file a second time; identifiers are unique")
        seen.add(doc_id)
        title, text = (_text(row.get(key), key, where) for key in ("title", "text"))
        if (title + text).strip():
            documents.append(Document(doc_id=doc_id, title=title, text=text))
        else:
            empty.append(doc_id)
    return documents, {EMPTY: empty} if empty else {}


def _text(value: object, key: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{where}: {key}: {value!r:.60} found, a text is expected")
    return value
