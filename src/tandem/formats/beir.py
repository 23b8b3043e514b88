"""BEIR folders: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/{train,dev,test}.tsv``.

Identifiers follow :func:`tandem.formats.identifiers.read_identifier`. Qrels have a header (``query-id corpus-id score``, tab separated);
a file without one is refused, for its first judgement would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import ir_measures

from tandem.formats.encodings import read_lines, require_file
from tandem.formats.identifiers import read_identifier, read_relevance
from tandem.formats.jsonl import InputError, read_json_lines, write_text
from tandem.records import Document, LabelledPair, Query

__all__ = ["read_corpus", "read_judgements", "read_qrels", "read_queries", "split_known", "to_queries", "write_qrels"]

HEADER = ("query-id", "corpus-id", "score")
ABSENT_SHARE = 0.5  # of a split's judgements; above it the files do not belong together


def read_corpus(path: Path) -> tuple[list[Document], list[str]]:
    """The documents of a BEIR ``corpus.jsonl`` (``_id, title, text``), in the order of the file.

    Returns:
        The documents, and the ids of those left out because they have neither title nor text, as FiQA has some.

    Raises:
        InputError: a missing or repeated id, a text that is no string, or an empty corpus.
    """
    documents: list[Document] = []
    empty: list[str] = []
    seen: set[str] = set()
    require_file(path, "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/")
    for line_number, row in read_json_lines(path):
        doc_id = _identifier(row, path, line_number, seen)
        seen.add(doc_id)
        title, text = (_string(row, key, path, line_number) for key in ("title", "text"))
        if (title + text).strip():
            documents.append(Document(doc_id=doc_id, title=title, text=text))
        else:
            empty.append(doc_id)
    if not documents:
        told = f"{len(empty)} rows with neither title nor text" if empty else "no document in it"
        raise InputError(f"{path}: {told}; one JSON object a line is expected: _id, title, text")
    return documents, empty


def read_queries(path: Path) -> list[Query]:
    """The queries of a BEIR ``queries.jsonl`` (``_id, text``), in the order of the file."""
    queries: dict[str, Query] = {}
    require_file(path, "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/")
    for line_number, row in read_json_lines(path):
        query_id = _identifier(row, path, line_number, queries)
        text = _string(row, "text", path, line_number)
        if not text.strip():
            raise InputError(f"{path}:{line_number}: text: {text!r:.60} found, query '{query_id}' has no text; take the line out")
        queries[query_id] = Query(query_id=query_id, text=text)
    return list(queries.values())


def read_qrels(path: Path) -> list[ir_measures.Qrel]:
    """The judgements of a BEIR qrels file, in the order of the file; see :func:`read_judgements` for its errors."""
    return read_judgements(path)[0]


def read_judgements(path: Path) -> tuple[list[ir_measures.Qrel], list[str]]:
    """The judgements of a BEIR qrels file, and those that stand there twice.

    Returns:
        The judgements in the order of the file, and file and line of every repetition, which is merged.

    Raises:
        InputError: no header, not three columns, a relevance that is no whole number, or two judgements of one pair that contradict.
    """
    require_file(path, "a split without judgements has no file, and none may ask for it")
    qrels: dict[tuple[str, str], ir_measures.Qrel] = {}
    repeated: list[str] = []
    for line_number, line in read_lines(path):
        if line_number == 1 and tuple(line.split("\t")) != HEADER:
            raise InputError(f"{path}:1: header {line[:80]!r} found, 'query-id<TAB>corpus-id<TAB>score' is expected")
        if line_number == 1 or not line.strip():
            continue
        qrel = _judgement(line, f"{path}:{line_number}")
        earlier = qrels.setdefault((qrel.query_id, qrel.doc_id), qrel)
        if earlier is not qrel:
            repeated.append(f"{path.name}:{line_number}")
        if earlier.relevance != qrel.relevance:
            raise InputError(
                f"{path}:{line_number}: query '{qrel.query_id}' and document '{qrel.doc_id}' are judged a second time, "
                f"{qrel.relevance} after {earlier.relevance}; one of the lines has to go"
            )
    return list(qrels.values()), repeated


def split_known(
    qrels: Sequence[ir_measures.Qrel], path: Path, *, query_ids: Collection[str], doc_ids: Collection[str]
) -> tuple[list[ir_measures.Qrel], dict[str, list[str]]]:
    """The judgements of queries and documents that exist, and the others by what they lack, as ArguAna has one.

    Args:
        qrels: of a split.
        path: of their file.
        query_ids: of queries.jsonl.
        doc_ids: of corpus.jsonl.

    Raises:
        InputError: more than half of the split is about what is not there; names the first.
    """
    known = [qrel for qrel in qrels if qrel.query_id in query_ids and qrel.doc_id in doc_ids]
    lost = {
        "query that is not in queries.jsonl": [q.query_id for q in qrels if q.query_id not in query_ids],
        "document that is not in corpus.jsonl": [q.doc_id for q in qrels if q.query_id in query_ids and q.doc_id not in doc_ids],
    }
    if len(qrels) - len(known) > ABSENT_SHARE * len(qrels):
        kind, names = next((kind, names) for kind, names in lost.items() if names)
        told = kind.replace(" that", f" '{names[0]}', which")
        raise InputError(
            f"{path}: judges {told} ({len(names)} of {len(qrels)} lines); most of the split is absent: give files of one data set"
        )
    return known, {f"judgement in {path.name} of a {kind}": names for kind, names in lost.items() if names}


def to_queries(pairs: Sequence[LabelledPair]) -> tuple[list[Query], list[ir_measures.Qrel]]:
    """The distinct queries of pairs, in order, and their judgements."""
    queries = {pair.query_id: Query(query_id=pair.query_id, text=pair.text) for pair in pairs}
    return list(queries.values()), [ir_measures.Qrel(p.query_id, p.doc_id, p.relevance) for p in pairs]


def write_qrels(path: Path, qrels: Iterable[ir_measures.Qrel]) -> None:
    """Write judgements as BEIR has them, header first, whole or not at all."""
    lines = ["\t".join(HEADER), *(f"{q.query_id}\t{q.doc_id}\t{q.relevance}" for q in qrels)]
    write_text(path, "\n".join(lines) + "\n")


def _judgement(line: str, where: str) -> ir_measures.Qrel:
    cells = line.split("\t")
    if len(cells) != 3 or not all(cells):
        raise InputError(f"{where}: {line[:80]!r} found, three tab-separated columns are expected")
    relevance = read_relevance(cells[2], where=f"{where}: score")
    query_id, doc_id = (read_identifier(cell, where=f"{where}: {key}") for key, cell in zip(HEADER, cells[:2], strict=False))
    return ir_measures.Qrel(query_id, doc_id, relevance)


def _identifier(row: dict[str, object], path: Path, line_number: int, seen: Collection[str]) -> str:
    value = read_identifier(row.get("_id"), where=f"{path}:{line_number}: _id")
    if value in seen:
        raise InputError(f"{path}:{line_number}: _id '{value}' stands in the file a second time; identifiers are unique")
    return value


def _string(row: dict[str, object], key: str, path: Path, line_number: int) -> str:
    value = row.get(key, "" if key == "title" else None)
    if key == "title" and value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{path}:{line_number}: {key}: {value!r:.60} found, a string is expected")
    return value
