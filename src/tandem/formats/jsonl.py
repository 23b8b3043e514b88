"""JSON lines to records and back: one record a line, validated with file and line number, written whole or not at all."""

from __future__ import annotations

import codecs
import math
import numbers
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from tandem.formats.encodings import encoding_of, read_lines, require_file
from tandem.formats.errors import InputError

__all__ = [
    "InputError",
    "explain",
    "parse_json_line",
    "read_json_lines",
    "read_records",
    "write_json",
    "write_lines",
    "write_records",
    "write_text",
]

R = TypeVar("R", bound=BaseModel)


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers from 1; empty lines are passed over.

    Raises:
        InputError: the file is missing or not UTF-8, or a line is not a JSON object.
    """
    require_file(path, "`dvc repro` runs the stage that writes it")
    for line_number, line in _numbered(path):
        if line.strip():
            yield line_number, parse_json_line(line, f"{path}:{line_number}")


def parse_json_line(line: bytes | str, where: str) -> dict[str, Any]:
    """The object of one line.

    Args:
        line: of the file.
        where: file and line, for the error.

    Raises:
        InputError: it is no JSON object.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        text = line if isinstance(line, str) else line.decode(errors="replace")
        raise InputError(f"{where}: not a JSON object in UTF-8: {error.msg} at column {error.colno}, found {text.strip()!r:.60}") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: {type(row).__name__} found, one JSON object a line is expected")
    return row


def read_records(path: Path, kind: type[R]) -> list[R]:
    """Read a JSONL file as records of one kind, in the order of the file.

    Raises:
        InputError: with file, line, key, value and what is allowed.
    """
    records = []
    for line_number, row in read_json_lines(path):
        try:
            records.append(kind.model_validate(row))
        except ValidationError as error:
            raise InputError(f"{path}:{line_number}: {explain(error)}") from None
    return records


def explain(error: ValidationError) -> str:
    """A pydantic error as one line: key, value, what is allowed."""
    first = error.errors()[0]
    key = ".".join(str(key) for key in first["loc"]) or "(row)"
    value = "" if first["type"] == "missing" else f", found {first['input']!r:.80}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {first['msg']}{value}{more}"


def write_records(path: Path, records: Iterable[BaseModel]) -> None:
    """Write records as JSON lines in UTF-8: the whole file, or nothing where something fails on the way.

    Raises:
        ValueError: a number is infinite or none: JSON would hold null, which no reader of records takes.
    """
    _write_whole(path, (_dump_record(path, line_number, record.model_dump()) for line_number, record in enumerate(records, start=1)))


def _dump_record(path: Path, line_number: int, values: dict[str, Any]) -> bytes:
    if name := next(_not_finite(values, ""), None):
        raise ValueError(f"{path}:{line_number}: {name}: not a finite number; the model that scored it gives no usable scores")
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)


def write_json(path: Path, value: object) -> None:
    """Write one JSON value, indented, keys in the order given, whole or not at all; numbers that are not finite as null, with a warning."""
    if names := list(_not_finite(value, "")):
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        warnings.warn(f"{path}: not finite, written as null: {', '.join(names[:3])}{more}", stacklevel=2)
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
    _write_whole(path, [orjson.dumps(value, option=option)])


def _not_finite(value: object, place: str) -> Iterator[str]:
    """The places of numbers that are infinite or none."""
    if isinstance(value, numbers.Real):  # numpy's too
        if not math.isfinite(value):
            yield place.removeprefix(".") or "(value)"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _not_finite(inner, f"{place}.{i}")


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, whole or not at all."""
    _write_whole(path, [text.encode()])


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write lines that are JSON already, each with its line break, whole or not at all."""
    _write_whole(path, lines)


def _numbered(path: Path) -> Iterator[tuple[int, bytes | str]]:
    if not encoding_of(path).startswith("utf-8"):
        yield from read_lines(path)
        return
    with path.open("rb") as lines:  # a line is decoded once, by the parser
        for line_number, line in enumerate(lines, start=1):
            yield line_number, line.removeprefix(codecs.BOM_UTF8)


def _write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(chunks)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
