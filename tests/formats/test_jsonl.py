"""JSON lines to records and back, whole or not at all."""

from __future__ import annotations

import codecs
import json
import math
from pathlib import Path

import pytest

from tandem.formats.errors import InputError
from tandem.formats.jsonl import read_json_lines, read_records, write_json, write_records, write_text
from tandem.records import Difficulty, Query


def test_records_come_back_with_their_lines_counted(tmp_path: Path) -> None:
    path = tmp_path / "deep/q.jsonl"
    queries = [Query(query_id="a", text="Zürich\u2028?"), Query(query_id="b", text="x")]
    write_records(path, queries)
    assert read_records(path, Query) == queries
    path.write_bytes(codecs.BOM_UTF8 + b"\n" + path.read_bytes())
    assert [line_number for line_number, _ in read_json_lines(path)] == [2, 3]
    path.write_bytes(path.read_bytes() + b'{"query_id": "c"}\n')
    with pytest.raises(InputError, match=r"q.jsonl:4: text: Field required"):
        read_records(path, Query)


def test_a_number_that_is_not_finite_is_no_record_and_null_in_json(tmp_path: Path) -> None:
    row = Difficulty(query_id="q", doc_id="d", rank=1, score=math.inf, difficulty=0.5)
    with pytest.raises(ValueError, match=r"d.jsonl:1: score: not a finite number"):
        write_records(tmp_path / "d.jsonl", [row])
    with pytest.warns(UserWarning, match=r"not finite, written as null: a.0"):
        write_json(tmp_path / "m.json", {"a": [math.nan, 1.0]})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": [None, 1.0]}
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


def test_what_stood_there_is_replaced_at_once(tmp_path: Path) -> None:
    write_text(tmp_path / "t.txt", "one")
    write_text(tmp_path / "t.txt", "two")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("t.txt", "two")]
