"""JSON lines and JSON arrays are told apart by how they begin, and every object is known by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.formats import json_values
from tandem.formats.errors import InputError
from tandem.formats.json_values import read_objects


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"a": "é"}\n\n{"a": 2}\n', [1, 3]),
        ('\n  [\n  {"a": "é"},\n\n  {\n    "a": 2}\n]\n', [3, 5]),
        ('[{"a": "é"}, {"a": 2}]', [1, 1]),
    ],
    ids=["lines", "array", "one line"],
)
def test_both_forms_in_any_encoding(tmp_path: Path, text: str, lines: list[int], encoding: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text, encoding=encoding)
    assert list(read_objects(path)) == [(lines[0], {"a": "é"}), (lines[1], {"a": 2})]


def test_an_empty_array_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[ ]\n")
    assert list(read_objects(tmp_path / "rows.json")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}\n{"a": 2}]', r"rows\.json:2: .* a comma or \] is expected"),
        ('[{"a": 1},\n]', r"rows\.json:2: \] found after a comma"),
        ('[{"a": 1}]\n{"a": 2}', r"rows\.json:2: .* found after the array"),
        ('[{"a": 1},\n2]', r"rows\.json:2: int found"),
        ('[{"a": 1},\n{"a": NaN}]', r"rows\.json:2: not JSON: NaN found"),
        ('[{"a": 1},\n{"a": }]', r"rows\.json:2: not JSON"),
        ('[{"a": 1},\n', r"rows\.json:2: not JSON"),
        ("[[]]", r"rows\.json:1: list found"),
        ('{"a": 1}\n[1]', r"rows\.json:2: list found"),
        ('{"a": 1}\n{"a"', r"rows\.json:2: not a JSON object"),
    ],
)
def test_what_is_no_json_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(InputError, match=message):
        list(read_objects(tmp_path / "rows.json"))


def test_lines_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first row is there before the second is looked at, and nobody asks for the whole text."""
    monkeypatch.setattr(json_values, "read_text", lambda path: pytest.fail("the whole file is read"))
    (tmp_path / "rows.json").write_text('{"a": 1}\nnone\n')
    rows = read_objects(tmp_path / "rows.json")
    assert next(rows) == (1, {"a": 1})
    with pytest.raises(InputError, match=r":2:"):
        next(rows)
    with pytest.raises(InputError, match="no such file"):
        next(read_objects(tmp_path / "none.json"))
