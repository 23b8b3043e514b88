"""Rows of JSONL and CSV files, with the line that each begins on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.formats.errors import InputError
from tandem.formats.rows import read_rows


def test_cells_of_several_lines_and_any_length(tmp_path: Path) -> None:
    path = tmp_path / "d.CSV"
    path.write_text(f'id, text\n1,"two\nlines"\n\n2,{"x" * 200_000}\n', encoding="utf-8-sig")
    rows = list(read_rows(path, required=("text",)))
    assert [(line_number, row["id"], len(row["text"])) for line_number, row in rows] == [(2, "1", 9), (5, "2", 200_000)]


def test_both_kinds_need_their_columns(tmp_path: Path) -> None:
    for name, content in (("d.csv", "id,title\n1,a\n"), ("d.jsonl", '{"id": 1, "title": "a"}\n')):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=rf"{name}:1: text: nothing found, .*there are: 'id', 'title'"):
            list(read_rows(tmp_path / name, required=("text",)))
    with pytest.raises(InputError, match=r"'.xml' found, a .jsonl or .csv file is expected"):
        list(read_rows(tmp_path / "d.xml", required=()))
