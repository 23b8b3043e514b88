"""The query in a completion; what chat models write around one is tested by tests/faults/test_b13_chat_around_a_query.py."""

from __future__ import annotations

import pytest

from tandem.llm.parsing import clean_query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (" find rows \nDocument: more", "find rows"),
        ("\n\nQuery: find   rows", "find rows"),
        ('"find rows"', "find rows"),
        ("", ""),
        (" \n ", ""),
        ("one two three four", "one two"),
    ],
)
def test_clean_query(text: str, query: str) -> None:
    assert clean_query(text, max_words=2) == query
