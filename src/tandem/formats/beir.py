"""BEIR folders: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/{train,dev,test}.tsv``.

Identifiers are strings. Qrels have a header (``query-id corpus-id score``, tab separated); a file without one is refused,
for its first judgement would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import ir_measures

from tandem.formats.jsonl import InputError, read_json_lines, write_text
from tandem.records import Document, LabelledPair, Query

__all__ = ["read_corpus", "read_qrels", "read_queries", "to_queries", "validate_qrels", "write_qrels"]

HEADER = ("query-id", "corpus-id", "score")


def read_corpus(path: Path) -> list[Document]:
    """The documents of a BEIR ``corpus.jsonl`` (``_id, title, text``), in the order of the file.

    Raises:
        InputError: a missing or repeated id, a text that is no string, or an empty corpus.
    """
    documents: dict[str, Document] = {}
    for number, row in read_json_lines(path):
        doc_id = _identifier(row, path, number, documents)
        title, text = (_string(row, key, path, number) for key in ("title", "text"))
        if not (title + text).strip():
            raise InputError(f"{path}:{number}: document '{doc_id}' has neither title nor text; take the line out")
        documents[doc_id] = Document(doc_id=doc_id, title=title, text=text)
    if not documents:
        raise InputError(f"{path}: no document in it; one JSON object a line is expected: _id, title, text")
    return list(documents.values())


def read_queries(path: Path) -> list[Query]:
    """The queries of a BEIR ``queries.jsonl`` (``_id, text``), in the order of the file."""
    queries: dict[str, Query] = {}
    for number, row in read_json_lines(path):
        query_id = _identifier(row, path, number, queries)
        text = _string(row, "text", path, number)
        if not text.strip():
            raise InputError(f"{path}:{number}: query '{query_id}' has no text; take the line out")
        queries[query_id] = Query(query_id=query_id, text=text)
    return list(queries.values())


def read_qrels(path: Path) -> list[ir_measures.Qrel]:
    """The judgements of a BEIR qrels file, in the order of the file.

    Raises:
        InputError: no header, not three columns, a relevance that is no whole number, or two judgements of one pair.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; a split without judgements has no file, and none may ask for it")
    lines = path.read_text(encoding="utf8").splitlines()
    if not lines or tuple(lines[0].split("\t")) != HEADER:
        found = lines[0][:80] if lines else ""
        raise InputError(f"{path}:1: header {found!r} found, 'query-id<TAB>corpus-id<TAB>score' is expected")
    qrels: dict[tuple[str, str], ir_measures.Qrel] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != 3 or not all(cells):
            raise InputError(f"{path}:{number}: {line[:80]!r} found, three tab-separated columns are expected")
        query_id, doc_id, score = cells
        if not score.lstrip("-").isdigit():
            raise InputError(f"{path}:{number}: score {score!r} found, a whole number is expected (0: not relevant)")
        if (query_id, doc_id) in qrels:
            raise InputError(f"{path}:{number}: query '{query_id}' and document '{doc_id}' are judged a second time")
        qrels[query_id, doc_id] = ir_measures.Qrel(query_id, doc_id, int(score))
    return list(qrels.values())


def validate_qrels(qrels: Sequence[ir_measures.Qrel], path: Path, *, query_ids: Iterable[str], doc_ids: Iterable[str]) -> None:
    """Check that every judgement names a query and a document that exist.

    Raises:
        InputError: names the first that does not, and how many more there are.
    """
    for kind, known, used in (
        ("query", set(query_ids), [qrel.query_id for qrel in qrels]),
        ("document", set(doc_ids), [qrel.doc_id for qrel in qrels]),
    ):
        missing = [name for name in used if name not in known]
        if missing:
            where = "queries.jsonl" if kind == "query" else "corpus.jsonl"
            raise InputError(
                f"{path}: judges {kind} '{missing[0]}', which is not in {where} ({len(missing)} such lines); "
                "add it there or take the judgement out"
            )


def to_queries(pairs: Sequence[LabelledPair]) -> tuple[list[Query], list[ir_measures.Qrel]]:
    """The distinct queries of pairs, in order, and their judgements."""
    queries = {pair.query_id: Query(query_id=pair.query_id, text=pair.text) for pair in pairs}
    return list(queries.values()), [ir_measures.Qrel(p.query_id, p.doc_id, p.relevance) for p in pairs]


def write_qrels(path: Path, qrels: Iterable[ir_measures.Qrel]) -> None:
    """Write judgements as BEIR has them, header first, whole or not at all."""
    lines = ["\t".join(HEADER), *(f"{q.query_id}\t{q.doc_id}\t{q.relevance}" for q in qrels)]
    write_text(path, "\n".join(lines) + "\n")


def _identifier(row: dict[str, object], path: Path, number: int, seen: Collection[str]) -> str:
    value = row.get("_id")
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}:{number}: _id {value!r:.60} found, a string that is not empty is expected")
    if "\t" in value or "\n" in value:
        raise InputError(f"{path}:{number}: _id {value!r:.60} holds a tab or a line break, which qrels cannot")
    if value in seen:
        raise InputError(f"{path}:{number}: _id '{value}' stands in the file a second time; identifiers are unique")
    return value


def _string(row: dict[str, object], key: str, path: Path, number: int) -> str:
    value = row.get(key, "" if key == "title" else None)
    if not isinstance(value, str):
        raise InputError(f"{path}:{number}: {key}: {value!r:.60} found, a string is expected")
    return value
