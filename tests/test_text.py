"""When two queries are one."""

from __future__ import annotations

import pytest

from tandem.text import answer_tokens, find_near_duplicates, holds_answer, normalize_query


def test_case_and_spaces_do_not_make_another_query() -> None:
    assert normalize_query("  Sort a\tTable ") == normalize_query("sort a table") != normalize_query("sort a tables")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("How do I sort a list?", True),  # punctuation and case
        ("sort a list how do I", True),  # order
        ("how do I sort a long list", False),  # 6 of 7 words: .857 < .9
        ("hello", False),
        ("", False),
    ],
)
def test_near_duplicates(text: str, found: bool) -> None:
    assert bool(find_near_duplicates({"q": "how do i sort a list"}, [text], threshold=0.9)) is found


def test_the_threshold_is_a_jaccard_similarity() -> None:
    """{a b c d} and {a b c e}: 3 shared of 5, so .6 finds it and .61 does not."""
    held_out = {"q": "a b c d"}
    assert find_near_duplicates(held_out, ["x y z", "a b c e"], threshold=0.6) == {1: "q"}
    assert find_near_duplicates(held_out, ["x y z", "a b c e"], threshold=0.61) == {}


def test_a_query_of_two_words_has_no_near_duplicates_but_itself() -> None:
    assert find_near_duplicates({"q": "sort list"}, ["list sort", "sort lists", "sort"], threshold=0.3) == {0: "q"}


@pytest.mark.parametrize(
    ("passage", "answer", "held"),
    [
        ("The Seine flows through Paris.", "paris", True),
        ("Parisian cafés", "Paris", False),  # a part of a token is none
        ("Beyonc\u00e9 Knowles", "beyonce\u0301", True),  # composed or not
        ("Beyonce Knowles", "Beyonc\u00e9", False),
        ("born in the U.S. in 1964", "u.s.", True),
        ("in the US", "U.S.", False),
        ("on July 4 , 1776", "july 4, 1776", True),
        ("one two three", "two four", False),
        ("x-ray", "x ray", False),  # the hyphen is a token
        ("हिन्दी में लिखा", "हिन्दी", True),  # marks are parts of words
        ("anything", " \t", False),
        ("", "x", False),
    ],
)
def test_an_answer_is_its_tokens_one_after_the_other(passage: str, answer: str, *, held: bool) -> None:
    assert holds_answer(answer_tokens(passage), [answer_tokens("nowhere"), answer_tokens(answer)]) is held
