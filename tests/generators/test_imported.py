"""Queries from a file in place of a generator: drawn by seed, marked like generated ones, and every bad line named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tandem.formats.jsonl import InputError
from tandem.generators.imported import import_queries
from tandem.generators.queries import mark_unusable
from tandem.generators.requests import Request, RequestSettings
from tandem.records import Document, PseudoQuery

CORPUS = [Document(doc_id=f"d{i}", text=f"text {i}") for i in range(6)]
SETTINGS = RequestSettings(sampled_documents=4, queries_per_document=2)


def imported_rows(path: Path, settings: RequestSettings = SETTINGS) -> list[PseudoQuery]:
    imported = import_queries(path, CORPUS, settings, seed=3)
    return mark_unusable([Request(f"r1-{i}", doc_id, "") for i, (doc_id, _) in enumerate(imported)], [text for _, text in imported])


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_rows_are_drawn_by_document_and_marked(tmp_path: Path) -> None:
    rows = [{"query_id": "x", "text": f" query  {j}\nmore", "doc_id": f"d{i}", "other": 1} for i in range(5) for j in range(3)]
    path = write(tmp_path / "q.jsonl", [*rows, {"text": "query 0", "doc_id": "d5"}, {"text": "Query 0", "doc_id": "d5"}])
    found = imported_rows(path)
    assert found == imported_rows(path)
    assert len({row.doc_id for row in found}) == 4
    assert len(found) == 8
    assert [row.query_id for row in found] == [f"r1-{i}" for i in range(8)]
    assert all(row.text.startswith("query ") or row.text == "Query 0" for row in found)
    everything = imported_rows(path, RequestSettings(sampled_documents=99, queries_per_document=99))
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
        imported_rows(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no such file; a JSONL file of \{text, doc_id\} is expected"):
        import_queries(tmp_path / "none", CORPUS, SETTINGS, seed=3)
