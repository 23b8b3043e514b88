"""Queries from a file in place of a generator: drawn by seed, marked like generated ones, and every bad line named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tandem.formats.jsonl import InputError
from tandem.generators.imported import import_queries
from tandem.records import Document

CORPUS = [Document(doc_id=f"d{i}", text=f"text {i}") for i in range(6)]
SETTINGS = {"prefix": "r1", "sampled_documents": 4, "queries_per_document": 2, "seed": 3}


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_rows_are_drawn_by_document_and_marked(tmp_path: Path) -> None:
    rows = [{"query_id": "x", "text": f" query  {j}\nmore", "doc_id": f"d{i}", "other": 1} for i in range(5) for j in range(3)]
    path = write(tmp_path / "q.jsonl", [*rows, {"text": "query 0", "doc_id": "d5"}, {"text": "Query 0", "doc_id": "d5"}])
    found = import_queries(path, CORPUS, **SETTINGS)  # type: ignore[arg-type]
    assert found == import_queries(path, CORPUS, **SETTINGS)  # type: ignore[arg-type]
    assert len({row.doc_id for row in found}) == 4
    assert len(found) == 8
    assert [row.query_id for row in found] == [f"r1-{i}" for i in range(8)]
    assert all(row.text.startswith("query ") or row.text == "Query 0" for row in found)
    everything = import_queries(path, CORPUS, **{**SETTINGS, "sampled_documents": 99, "queries_per_document": 99})  # type: ignore[arg-type]
    assert len(everything) == 17
    assert [row.reason for row in everything if row.doc_id == "d5"] == ["", "duplicate"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "a", "doc_id": "nowhere"}, "q.jsonl:2: doc_id 'nowhere' is not in the corpus"),
        ({"doc_id": "d1"}, "q.jsonl:2: text"),
        ({"text": 3, "doc_id": "d1"}, "q.jsonl:2: text"),
        ("{broken", "q.jsonl:2"),
    ],
)
def test_bad_lines(tmp_path: Path, row: object, message: str) -> None:
    path = write(tmp_path / "q.jsonl", [{"text": "fine", "doc_id": "d1"}, row])
    with pytest.raises(InputError, match=message):
        import_queries(path, CORPUS, **SETTINGS)  # type: ignore[arg-type]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no such file; generate_queries\.file"):
        import_queries(tmp_path / "none", CORPUS, **SETTINGS)  # type: ignore[arg-type]
