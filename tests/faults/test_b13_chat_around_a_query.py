"""What chat models write around a query is taken off and counted; a completion without a query is rejected as such."""

from __future__ import annotations

import pytest

from tandem.generators.queries import count_stripped, mark_unusable
from tandem.generators.requests import Request
from tandem.llm.parsing import parse_query

CASES = {
    "solve a linear system": (),
    "Here is a search query: solve a linear system": ("introduction",),
    "Here is a search query:\n\nsolve a linear system": ("introduction",),
    "Sure! Here's one search query for the passage:\n1. solve a linear system\n2. another": ("introduction", "mark", "rest"),
    "<think>The user wants a query.\nLet me see.</think>\n\nsolve a linear system": ("thinking",),
    "The user wants a query.</think>solve a linear system": ("thinking",),
    "<|channel|>analysis<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>solve a linear system": ("thinking",),
    "**Query**\nsolve a linear system": ("introduction", "emphasis"),
    "1. solve a linear system": ("mark",),
    "Here is a search query.\n\nsolve a linear system": ("introduction",),
    "The user wants a query about equations.\nQuery: solve a linear system": ("introduction", "label"),
    "Keywords: matrix, solve\n**Query:** solve a linear system": ("introduction", "label"),
    "Generated query: solve a linear system": ("label",),
    "Q: solve a linear system": ("label",),
    "查询：solve a linear system": ("label",),
    "Hier ist eine Suchanfrage: solve a linear system": ("introduction",),
    "Sure, here's one: solve a linear system": ("introduction",),
    "<query>solve a linear system</query>": ("mark",),
    "solve a linear system</s>": (),
    '{"query": "solve a linear system"}': ("json",),
    '```json\n[{"search_query": "solve a linear system", "why": "x"}]\n```': ("json",),
    "solve a linear system\n\nDocument: It adds two numbers.\nQuery: add numbers": ("rest",),
    "solve a linear system\nQuery: add numbers": ("rest",),
    "- solve a linear system\n- more": ("mark", "rest"),
    "**Query:** solve a linear system": ("label", "emphasis"),
    '**Search query**: "solve a linear system"': ("label", "emphasis", "quotes"),
    "Query 1: solve a linear system": ("label",),
    "```\nsolve a linear system\n```": ("mark", "rest"),
    "```text\nsolve a linear system\n```": ("mark", "rest"),
    "“solve a linear system”": ("quotes",),
    "### solve a linear system": ("mark",),
    "Question: solve a linear system<|im_end|>": ("label",),
    "Certainly!\nsolve a linear system": ("introduction",),
    "> solve a linear system": ("mark",),
}


@pytest.mark.parametrize("completion", CASES)
def test_the_query_alone_is_left(completion: str) -> None:
    parsed = parse_query(completion)
    assert parsed.text == "solve a linear system"
    assert set(CASES[completion]) <= parsed.stripped
    assert parsed.stripped or not CASES[completion]


@pytest.mark.parametrize(
    "query",
    [
        *("great circle distance", "here is where", "yes no questions in python", "C++ sort", "what is a * search", "a_b and c_d"),
        *("1.5 volts in microvolts", "2 to the power of 10", "sure thing principle", "query optimisation", "document frequency"),
        *("f(x) = -x", "__init__ of a class", "ok button", "absolutely continuous", "how to use <s> in html"),
    ],
)
def test_queries_that_look_like_chatter_stay(query: str) -> None:
    assert parse_query(query).text == query


@pytest.mark.parametrize("completion", ["<think>only thoughts", "Here is a search query:", "```\n```", "Sure!", "N/A", "[no query]", "1. "])
def test_a_completion_without_a_query_is_a_reason_of_its_own(completion: str) -> None:
    parsed = parse_query(completion)
    assert parsed.text == ""
    rows = mark_unusable([Request("a", "d", ""), Request("b", "d", "")], [completion, " \n"])
    assert [row.reason for row in rows] == ["no_query", "empty"]


def test_what_was_stripped_is_counted() -> None:
    assert count_stripped(["Query: a b", "**Query:** c d", "e f"]) == {"stripped_emphasis": 1.0, "stripped_label": 2.0}
