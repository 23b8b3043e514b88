"""Rows of a user's files: JSONL objects, or CSV with a header, with the line that each begins on."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tandem.formats.encodings import encoding_of, first_undecodable, require_file
from tandem.formats.errors import InputError
from tandem.formats.jsonl import read_json_lines

__all__ = ["ROW_SUFFIXES", "read_rows"]

ROW_SUFFIXES = {".jsonl", ".csv"}
FIELD_LIMIT = min(sys.maxsize, 2**31 - 1)  # of a C long where it is shortest; Python's limit is 131,072 characters


def read_rows(path: Path, *, required: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a JSONL or CSV file with their line numbers from 1; empty lines are passed over, cells may have any length.

    Args:
        path: its suffix says what it is.
        required: keys that every row has.

    Raises:
        InputError: another suffix, no such file, a key that is not there, or a line that cannot be read.
    """
    if path.suffix.lower() not in ROW_SUFFIXES:
        raise InputError(f"{path}: '{path.suffix}' found, a .jsonl or .csv file is expected")
    require_file(path, "give a .jsonl or .csv file that exists")
    if path.suffix.lower() == ".csv":
        yield from _read_csv(path, required)
        return
    for line_number, row in read_json_lines(path):
        _require_keys(row, required, f"{path}:{line_number}")
        yield line_number, row


def _read_csv(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(FIELD_LIMIT)
    header: list[str] = []
    first = 1
    with path.open(encoding=encoding_of(path), newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            for cells in reader:
                start, first = first, reader.line_num + 1
                if not cells:
                    continue
                if not header:
                    header = [cell.strip() for cell in cells]
                    _check_header(header, required, f"{path}:{start}")
                    continue
                if len(cells) != len(header):
                    raise InputError(f"{path}:{start}: not as many cells ({len(cells)}) as the header has columns ({len(header)})")
                yield start, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise InputError(f"{path}:{first}: not CSV: {error}") from None
        except UnicodeDecodeError as error:
            line = first_undecodable(path) or first
            raise InputError(f"{path}:{line}: not CSV in UTF-8: {error.reason}; convert the file to UTF-8") from None


def _check_header(header: Sequence[str], required: Sequence[str], where: str) -> None:
    twice = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if twice:
        raise InputError(f"{where}: column '{twice[0]}' stands in the header a second time; give each column another name")
    _require_keys(dict.fromkeys(header), required, where)


def _require_keys(row: dict[str, Any], required: Sequence[str], where: str) -> None:
    missing = [key for key in required if key not in row]
    if missing:
        there = ", ".join(f"{key!r:.40}" for key in row)
        raise InputError(f"{where}: {missing[0]}: nothing found, a column or key of this name is expected; there are: {there}"[:400])
