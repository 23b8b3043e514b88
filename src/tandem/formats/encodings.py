"""Text files of any kind, read as text: UTF-8 with or without a byte order mark, and UTF-16 and UTF-32 where their mark says so."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from tandem.formats.errors import InputError

__all__ = ["encoding_of", "first_undecodable", "read_lines", "read_text", "require_file"]

# UTF-32's mark begins with UTF-16's, so it is looked for first.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


def require_file(path: Path, remedy: str) -> None:
    """Make sure that a path is a file.

    Args:
        path: of the file.
        remedy: what to do where there is none.

    Raises:
        InputError: there is nothing, or a folder.
    """
    if path.is_dir():
        raise InputError(f"{path}: a folder, a file is expected; {remedy}")
    if not path.is_file():
        raise InputError(f"{path}: no such file; {remedy}")


def encoding_of(path: Path) -> str:
    """The encoding that a file's byte order mark names; UTF-8 where it has none."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((encoding for mark, encoding in MARKS if start.startswith(mark)), "utf-8")


def read_text(path: Path) -> str:
    """The text of a file, without its byte order mark.

    Raises:
        InputError: the bytes are not of the encoding; names the first that is not.
    """
    encoding = encoding_of(path)
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not {encoding.upper()} at byte {error.start}; convert the file to UTF-8 or take it out") from None


def first_undecodable(path: Path) -> int:
    """The number of the first line that is not UTF-8, 0 where all are."""
    with path.open("rb") as lines:
        for line_number, line in enumerate(lines, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return line_number
    return 0


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers from 1, without line ends; a line separator inside a line (U+2028) does not end it.

    Raises:
        InputError: the bytes are not of the encoding.
    """
    for line_number, line in enumerate(read_text(path).split("\n"), start=1):
        yield line_number, line.removesuffix("\r")
