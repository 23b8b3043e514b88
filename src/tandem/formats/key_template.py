"""Corpora of LLM-Embedder: the texts of keys, made of each row's columns by a template; a row's number is the key's place."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tandem.formats.errors import InputError
from tandem.formats.json_values import read_objects
from tandem.settings import SettingError

__all__ = ["fill_template", "read_keys", "template_fields"]

EXAMPLE = "such as '{title} {text}'"


def read_keys(path: Path, *, key_template: str) -> Iterator[str]:
    """The texts of a corpus, in the order of its rows, one at a time.

    Args:
        path: JSON lines or one JSON array.
        key_template: the names of columns in braces, with text between them.

    Raises:
        SettingError: the template is none.
        InputError: the file cannot be read, holds no row, or a row lacks a column of the template; names file, line and column.
    """
    fields = template_fields(key_template)
    rows = 0
    for line_number, row in read_objects(path):
        rows += 1
        yield fill_template(key_template, fields, row, where=f"{path}:{line_number}")
    if not rows:
        raise InputError(f"{path}: no row in it; a corpus has one object a key, with the columns {', '.join(fields)}")


def template_fields(key_template: str) -> list[str]:
    """The names of a template's columns, each once.

    Raises:
        SettingError: braces that do not close, a column without a name, an attribute or a format of one, or no column at all.
    """
    try:
        parts = [(field, form, conversion) for _, field, form, conversion in string.Formatter().parse(key_template) if field is not None]
    except ValueError as error:
        raise SettingError(
            "key_template", f"{key_template!r} found, which is no template ({error}); allowed: columns in braces, {EXAMPLE}"
        ) from None
    for field, form, conversion in parts:
        if not field or field.isdecimal() or form or conversion or any(sign in field for sign in ".["):
            raise SettingError("key_template", f"{key_template!r} found; allowed in braces is the name of a column alone, {EXAMPLE}")
    if not parts:
        raise SettingError(
            "key_template", f"{key_template!r} found, which names no column, so that all keys were alike; allowed: {EXAMPLE}"
        )
    return list(dict.fromkeys(field for field, _, _ in parts))


def fill_template(key_template: str, fields: list[str], row: dict[str, Any], *, where: str) -> str:
    """The text of one row; a column that is null is empty.

    Args:
        key_template: with the columns' names in braces.
        fields: of the template.
        row: of the corpus.
        where: file and line, for the error.

    Raises:
        InputError: a column is missing, or neither text nor number.
    """
    values = {}
    for field in fields:
        if field not in row:
            there = ", ".join(f"{name!r:.40}" for name in row)
            raise InputError(f"{where}: {field}: nothing found, key_template {key_template!r} needs it; there are: {there}"[:400])
        value = row[field]
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise InputError(f"{where}: {field}: {value!r:.60} found, a text is expected")
        values[field] = "" if value is None else value
    return key_template.format_map(values)
