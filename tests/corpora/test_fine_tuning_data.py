"""Supervised rows as documents and pairs, preferences as preference pairs of a corpus."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.corpora.fine_tuning_data import content_id, to_pairs, to_preferences
from tandem.formats.errors import InputError
from tandem.formats.llama_factory import PreferenceRow, SupervisedRow
from tandem.records import PreferencePair


def row(prompt: str, completion: str) -> SupervisedRow:
    return SupervisedRow(prompt=prompt, completion=completion)


def preference(prompt: str, chosen: str, rejected: str) -> PreferenceRow:
    return PreferenceRow(prompt=prompt, chosen=chosen, rejected=rejected)


def test_a_document_and_a_pair_stand_once() -> None:
    rows = [row("one  text", "what"), row("one text ", "WHAT "), row("one text", "which"), row("another", "what")]
    documents, pairs = to_pairs(rows)
    assert [document.text for document in documents] == ["one  text", "another"]
    assert [(pair.query, pair.doc_id) for pair in pairs] == [
        ("what", content_id("one text")),
        ("which", content_id("one text")),
        ("what", content_id("another")),
    ]


def test_ids_are_made_of_the_text_alone() -> None:
    """The literal holds them fixed: an id that moved would part a corpus from its preferences."""
    assert content_id("one text") == content_id(" one \n text ") == "db94ddd8ea66566c0"
    first, _ = to_pairs([row("a", "q"), row("b", "q")])
    second, _ = to_pairs([row("b", "q"), row("c", "q"), row("a", "q")])
    assert {document.doc_id for document in first} < {document.doc_id for document in second}


def test_the_answer_may_be_the_document_and_the_instruction_is_neither() -> None:
    documents, pairs = to_pairs([row("Answer this: what is it", "a long text")], document="completion", instruction="Answer this:")
    assert [document.text for document in documents] == ["a long text"]
    assert [pair.query for pair in pairs] == ["what is it"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([row("d", "q"), row(" ", "q")], {}, "^row 1: no document; take the row out"),
        ([row("d", " ")], {}, "^row 0: no query"),
        ([row("d", "q")], {"instruction": "Write"}, "^row 0: 'd' found, which does not begin with the instruction 'Write'"),
    ],
)
def test_a_row_of_no_use_is_named(rows: list[SupervisedRow], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_pairs(rows, **options)


def test_preferences_are_of_the_corpus() -> None:
    texts = {"d1": "one\ntext", "d2": "another"}
    same, repeated = preference("Query: another", "a", "A "), preference("Query: one text", "good ", "bad")
    pairs = to_preferences([preference("Query: one text", "good", "bad"), same, repeated], texts, instruction="Query:")
    assert pairs == [PreferencePair(doc_id="d1", chosen="good", rejected="bad", kind="imported")]
    with pytest.raises(InputError, match=r"^row 0: no document of the corpus has the text 'absent'"):
        to_preferences([preference("absent", "a", "b")], texts)
    with pytest.raises(InputError, match=r"^row 0: chosen: ' ' found"):
        to_preferences([preference("another", " ", "b")], texts)
