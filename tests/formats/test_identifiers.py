"""One rule for identifiers and one for judgements."""

from __future__ import annotations

import pytest

from tandem.formats.errors import InputError
from tandem.formats.identifiers import read_identifier, read_relevance


@pytest.mark.parametrize(
    ("value", "identifier"),
    [("a", "a"), (" a b ", "a b"), (12, "12"), (12.0, "12"), ("12.0", "12"), ("-3", "-3"), (0, "0"), ("007", "007"), ("1.50", "1.50")],
)
def test_one_id_in_every_file(value: object, identifier: str) -> None:
    assert read_identifier(value, where="f:1: _id") == identifier


@pytest.mark.parametrize("value", [None, "", "  ", True, ["a"], {"a": 1}, "a\tb", "a\u2028b", float(2**53)])
def test_what_is_no_id_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(InputError, match=r"^f:1: _id "):
        read_identifier(value, where="f:1: _id")


def test_levels_are_whole_numbers() -> None:
    assert [read_relevance(value, where="w") for value in (2, "2", "2.0", -1, "0")] == [2, 2, 2, -1, 0]
    for value in (True, "1.5", "yes", None, ""):
        with pytest.raises(InputError, match=r"a whole number is expected"):
            read_relevance(value, where="w")
