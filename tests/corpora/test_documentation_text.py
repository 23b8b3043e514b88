"""Docstrings of three styles, without their markup, and what somebody asks."""

from __future__ import annotations

import random

import pytest

from tandem.corpora.documentation_text import ask, cut_words, doc_sections, first_sentence, lower_first, plain_text, verb_phrase

NUMPY = """Sum of it.

More of it.

Parameters
----------
a : int, default 3
    A number.

See Also
--------
prod : Product.
"""
GOOGLE = """Sum of it.

More of it.

Args:
    a (`int`, *optional*, defaults to 3):
        A number.

    b: Another.

Returns:
    `torch.Tensor`: The sum.

Last words.
"""


def test_sections_of_both_styles() -> None:
    prose, sections = doc_sections(NUMPY)
    assert prose == "Sum of it.\n\nMore of it."
    assert sections == {"parameters": "a : int, default 3\n    A number.", "see also": "prod : Product."}
    prose, sections = doc_sections(GOOGLE)
    assert prose.split() == ["Sum", "of", "it.", "More", "of", "it.", "Last", "words."]
    assert sections["parameters"].startswith("a (`int`, *optional*, defaults to 3):\n    A number.")
    assert sections["parameters"].endswith("b: Another.")
    assert sections["returns"] == "`torch.Tensor`: The sum."
    assert doc_sections("Nothing else.") == ("Nothing else.", {})


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("See :func:`~numpy.mean` and ``axis=0``.", "See numpy.mean and axis=0."),
        ("A [`~transformers.Trainer`] for *any* **model**", "A transformers.Trainer for any model"),
        ("`.Patch` by `this page <https://x.y>`_ [1]_", "Patch by this page"),
        ("Read [the guide](https://x.y) first", "Read the guide first"),
        ("Before.\n\n>>> f(1)\n2\n\nAfter\nit.", "Before.\nAfter it."),
        ("Before.\n\n.. versionadded:: 1.2\n    Long ago.\n\nAfter.", "Before.\nAfter."),
        ("Before::\n\n    code = 1\n\n    more = 2\n\nAfter.", "Before.\nAfter."),
        ("Text\n\n```python\nx = 1\n\ny = 2\n```\n\nMore", "Text\nMore"),
        ("snake_case * 2 ** 3", "snake_case * 2 ** 3"),
    ],
)
def test_markup_goes_and_words_stay(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One, i.e. this. Two.", "One, i.e. this"),
        ("Uses axis=0.5 here", "Uses axis=0.5 here"),
        ("One\nTwo.", "One"),
        ("Is it? It is.", "Is it"),
        ("", ""),
    ],
)
def test_first_sentences(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


@pytest.mark.parametrize(
    ("summary", "phrase"),
    [
        ("Compute the mean", "compute the mean"),
        ("Computes the mean", "compute the mean"),
        ("Matches of it", ""),
        ("Searches a table", "search a table"),
        ("Applies it", "apply it"),
        ("Return the mean", "get the mean"),
        ("Sum of values", ""),
        ("Sum the values", "sum the values"),
        ("A linear model", ""),
        ("Compute", ""),
        ("FIT the model", ""),
    ],
)
def test_what_a_function_does(summary: str, phrase: str) -> None:
    assert verb_phrase(summary) == phrase


def test_what_is_asked() -> None:
    asked = {ask("Returns the mean", random.Random(seed)) for seed in range(20)}
    assert asked == {"How do I get the mean?", "How can I get the mean?", "What would I use to get the mean?"}
    assert "a linear model" in ask("A linear model", random.Random(0))
    assert ask("Linear models, all of them", random.Random(0)) == ""
    assert [lower_first(text) for text in ("The mean", "DNA data", "A b", "")] == ["the mean", "DNA data", "a b", ""]
    assert cut_words("one two\nthree  four", 3) == "one two\nthree"
