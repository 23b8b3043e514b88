"""Corpora by a template: a row's number is its key's place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tandem.formats.errors import InputError
from tandem.formats.key_template import read_keys
from tandem.settings import SettingError

ROWS = [{"title": "A", "text": "one"}, {"title": None, "text": "two", "id": 3}, {"title": "{C}", "text": ""}]


@pytest.mark.parametrize("array", [False, True], ids=["lines", "array"])
def test_texts_in_order(tmp_path: Path, *, array: bool) -> None:
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps(ROWS, indent=1) if array else "\n".join(map(json.dumps, ROWS)))
    assert list(read_keys(path, key_template="{title} {text}")) == ["A one", " two", "{C} "]
    assert list(read_keys(path, key_template="{{{text}}}")) == ["{one}", "{two}", "{}"]


def test_a_column_that_a_row_lacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "corpus.json"
    path.write_text('{"text": "a"}\n{"contents": "b"}\n')
    with pytest.raises(InputError, match=r"corpus\.json:2: text: nothing found, key_template '\{text\}' needs it; there are: 'contents'"):
        list(read_keys(path, key_template="{text}"))
    path.write_text('{"text": ["a"]}\n')
    with pytest.raises(InputError, match=r"corpus\.json:1: text: \['a'\] found, a text is expected"):
        list(read_keys(path, key_template="{text}"))
    path.write_text("\n")
    with pytest.raises(InputError, match="no row in it"):
        list(read_keys(path, key_template="{text}"))


@pytest.mark.parametrize("template", ["text", "", "{}", "{0}", "{text", "{text!r}", "{text:>5}", "{text.upper}", "{text[0]}"])
def test_what_is_no_template(tmp_path: Path, template: str) -> None:
    """An unquoted {text} of pitfall 2 may come out of a shell as ``text``, which would make all keys alike."""
    with pytest.raises(SettingError, match="key_template"):
        list(read_keys(tmp_path / "corpus.json", key_template=template))
