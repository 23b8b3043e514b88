"""Identifiers of documents and queries, and judgements: one rule each, wherever they are read."""

from __future__ import annotations

import re

from tandem.formats.errors import InputError

__all__ = ["read_identifier", "read_relevance"]

WHOLE = re.compile(r"(-?\d+)(\.0)?")
REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
LARGEST_WHOLE = 2**53  # beyond it, different whole numbers are the same float, as JSON readers make of them past 64 bits
NAMES = {"\t": "a tab", "\n": "a line break", "\r": "a line break", "\u2028": "a line separator", "\u2029": "a paragraph separator"}


def read_identifier(value: object, *, where: str) -> str:
    """The string that an identifier is known by, from what a file holds.

    Strings lose white space at both ends. Whole numbers are their digits, and so is what pandas makes of them in a column with gaps:
    ``12``, ``12.0`` and ``"12.0"`` are ``"12"``, in every file alike. Zero is an identifier; leading zeros stay.

    Args:
        value: a cell of CSV or TSV, or a JSON value.
        where: file, line and key, for the error.

    Raises:
        InputError: nothing, neither text nor number, or a character that ends or parts the lines of judgements.
    """
    if isinstance(value, float) and value.is_integer():
        if abs(value) >= LARGEST_WHOLE:
            raise InputError(f"{where} {value!r} found, a number too large to be read exactly; write it as a text, in quotes")
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise InputError(f"{where} {value!r:.60} found, a text that is not empty or a number is expected")
    text = str(value)
    if refused := REFUSED.search(text):
        name = NAMES.get(refused[0], "a control character" if refused[0] < "\ud800" else "a byte that is not UTF-8")
        raise InputError(f"{where} {text!r:.60} holds {name} (U+{ord(refused[0]):04X}), which no id may; take it out")
    text = text.strip()
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else text


def read_relevance(value: object, *, where: str) -> int:
    """The level of a judgement, a whole number of any sign; ``2`` and ``2.0`` are the same, as cells or as JSON values.

    Args:
        value: a cell of CSV or TSV, or a JSON value.
        where: file, line and key, for the error.

    Raises:
        InputError: it is no whole number.
    """
    whole = WHOLE.fullmatch(str(value).strip())
    if isinstance(value, bool) or not whole:
        raise InputError(f"{where} {value!r:.60} found, a whole number is expected (0: not relevant)")
    return int(whole[1])
