"""Files of JSON objects whose suffix does not say what they are: one object a line, or one array of all, told apart by how they begin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tandem.formats.encodings import encoding_of, read_text, require_file
from tandem.formats.errors import InputError
from tandem.formats.jsonl import read_json_lines

__all__ = ["read_objects"]

WHITE_SPACE = " \t\r\n"
REMEDY = "give a file of JSON lines or of one JSON array that exists"


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with the numbers, from 1, of the lines that they begin on.

    JSON lines are read one by one, and never more than one is held; an array is read whole.

    Raises:
        InputError: the file is missing, or not JSON of either form.
    """
    require_file(path, REMEDY)
    if _first_character(path) == "[":
        yield from _read_array(path)
    else:
        yield from read_json_lines(path)


def _first_character(path: Path) -> str:
    with path.open(encoding=encoding_of(path), errors="replace") as text:
        while piece := text.read(1024):
            if rest := piece.lstrip(WHITE_SPACE):
                return rest[0]
    return ""


def _read_array(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    text = read_text(path)
    decoder = json.JSONDecoder(parse_constant=_refuse)
    place = _skip(text, text.index("[") + 1)
    line_number, counted = 1, 0
    while not text.startswith("]", place):
        line_number, counted = line_number + text.count("\n", counted, place), place
        where = f"{path}:{line_number}"
        try:
            row, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}, objects in an array are expected"
            ) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f"{where}: {type(row).__name__} found, the array holds objects alone")
        yield line_number, row
        place = _skip(text, place)
        if text.startswith(",", place):
            place = _skip(text, place + 1)
            if text.startswith("]", place):
                raise InputError(f"{path}:{_line(text, place)}: ] found after a comma, an object is expected")
        elif not text.startswith("]", place):
            raise InputError(f"{path}:{_line(text, place)}: {text[place : place + 20]!r} found, a comma or ] is expected")
    place = _skip(text, place + 1)
    if place < len(text):
        raise InputError(f"{path}:{_line(text, place)}: {text[place : place + 20]!r} found after the array, nothing is expected there")


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in WHITE_SPACE:
        place += 1
    return place


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} found, which is no number of JSON")
