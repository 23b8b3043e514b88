"""Prompts: the document is cut and nothing else; worked examples stand before it as plain text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import QUERIES, TEXTS

from tandem.generators.examples import NO_EXAMPLES, Examples, draw_examples, draw_untuned_examples
from tandem.generators.prompts import DEFAULT_TEMPLATE, PromptedSettings, PromptSettings, QueryPrompts, read_examples, render_prompts
from tandem.llm.prompts import truncate_documents
from tandem.records import LabelledPair
from tandem.settings import SettingError


def test_the_document_is_cut_and_nothing_else(tiny_tokenizer: Any) -> None:
    text = "sort the rows of a table in ascending order"
    assert truncate_documents([text, "sort"], tiny_tokenizer, 3) == ["sort the rows", "sort"]
    (prompt,) = render_prompts([text], ["table"], tiny_tokenizer, template=DEFAULT_TEMPLATE, max_document_tokens=2)
    assert prompt == "Document: sort the\nKeywords: table\nQuery:"


def test_a_template_without_document_is_refused(tiny_tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"prompt.template: 'Query:'"):
        render_prompts(["a"], [""], tiny_tokenizer, template="Query:", max_document_tokens=2)


def test_a_chat_template_is_used_where_there_is_one(tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    monkeypatch.setattr(tiny_tokenizer, "chat_template", chat, raising=False)
    (prompt,) = render_prompts(["sort"], [""], tiny_tokenizer, template="About {document}:", max_document_tokens=2)
    assert prompt == "[user]About sort:[assistant]"


def prompted(per_prompt: int | str, query_types: list[str], keywords: int = 0) -> PromptedSettings:
    examples = {"per_prompt": per_prompt, "query_types": query_types}
    prompt = {
        "template": "Document: {document}\nWords: {keywords}\nQuery:",
        "document_tokens": 6,
        "keywords": keywords,
        "ignored_words": [],
    }
    return PromptedSettings.model_validate({"prompt": {**prompt, "examples": examples}, "language": "english"})


PAIRS = [LabelledPair(query_id=f"q-{name}", text=text, doc_id=name) for name, text in QUERIES.items()]


def test_without_examples_a_prompt_is_what_it_was(tiny_tokenizer: Any, tmp_path: Path) -> None:
    values = {"template": DEFAULT_TEMPLATE, "document_tokens": 8, "keywords": 2, "ignored_words": []}
    settings = PromptSettings.model_validate(values)
    assert draw_examples(PromptedSettings(prompt=settings, language="english"), PAIRS, TEXTS, seed=1) == NO_EXAMPLES
    prompts = QueryPrompts(tiny_tokenizer, settings)
    documents, keywords = list(TEXTS.values()), ["a", *[""] * 5]
    expected = render_prompts(documents, keywords, tiny_tokenizer, template=DEFAULT_TEMPLATE, max_document_tokens=8)
    assert prompts.render(documents, keywords) == expected
    assert not prompts.one_line
    assert prompts.completion("a b") == " a b"
    prompts.save(tmp_path)
    assert json.loads((tmp_path / "prompt.json").read_text()) == {"template": DEFAULT_TEMPLATE, "document_tokens": 8}
    assert read_examples(tmp_path) == read_examples(tmp_path / "none") == NO_EXAMPLES


def test_examples_stand_before_the_document(tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    examples = draw_examples(prompted(2, ["question", "claim"]), seed=1)
    assert examples == draw_examples(prompted(2, ["question", "claim"]), PAIRS, TEXTS, seed=1)
    assert examples != draw_examples(prompted(2, ["question", "claim"]), seed=2)
    assert examples.types == ["question", "claim"]
    shape = prompted(2, ["question"]).prompt
    monkeypatch.setattr(tiny_tokenizer, "chat_template", "{{ messages[0].content }}[assistant]", raising=False)
    examples = examples.model_copy(update={"form": "text"})
    prompts = QueryPrompts(tiny_tokenizer, shape, examples=examples)
    question, claim = prompts.render([TEXTS["sort"], TEXTS["mean"]], ["table", ""], ["question", "claim"])
    blocks = question.split("\n\n")
    assert len(blocks) == 3, "plain text, whatever chat template there is"
    assert blocks[2] == "Document: Sort the rows of a table\nWords: table\nQuery:"
    assert blocks[0].split("\n")[2] == f"Query: {examples.by_type['question'][0].query}"
    assert len(tiny_tokenizer(blocks[0].split("\n")[0].removeprefix("Document: "), add_special_tokens=False)["input_ids"]) == 6
    assert claim.split("\n\n")[0].split("\n")[2] == f"Query: {examples.by_type['claim'][0].query}"
    (unknown,) = prompts.render([TEXTS["sort"]], ["table"])
    assert unknown == question, "of no type: the first"
    assert prompts.one_line
    assert prompts.completion("a b") == " a b\n"
    prompts.save(tmp_path)
    again = QueryPrompts.read(tmp_path, tiny_tokenizer)
    assert again.render([TEXTS["sort"]], ["table"]) == [question]
    assert read_examples(tmp_path) == examples


def test_examples_are_turns_where_there_is_a_chat_template(tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user asks by what the type is, with the words that are offered; the model has answered; its next answer is the query."""
    settings = prompted(2, ["question", "title"], keywords=1)
    examples = draw_examples(settings, seed=1)
    assert examples.form == "auto"
    without = QueryPrompts(tiny_tokenizer, settings.prompt, examples=examples)
    assert not without.turns
    assert "Query:" in without.render([TEXTS["sort"]], [""])[0]
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    monkeypatch.setattr(tiny_tokenizer, "chat_template", template, raising=False)
    prompts = QueryPrompts(tiny_tokenizer, settings.prompt, examples=examples)
    question, title = prompts.render([TEXTS["sort"], TEXTS["sort"]], ["table", ""], ["question", "title"])
    first, second = examples.by_type["question"]
    turns = question.split("[")[1:]
    assert [turn.split("]")[0] for turn in turns] == ["user", "assistant"] * 3
    assert turns[1] == f"assistant]{first.query}"
    assert turns[3] == f"assistant]{second.query}"
    assert turns[4] == "user]Write one question that this text answers.\n\nSort the rows of a table\n\nKeywords: table"
    assert title.endswith("[user]Write a title for this text.\n\nSort the rows of a table[assistant]")
    assert prompts.one_line
    assert prompts.completion("a b") == "a b"
    prompts.save(tmp_path)
    assert QueryPrompts.read(tmp_path, tiny_tokenizer).render([TEXTS["sort"]], ["table"], ["question"]) == [question]
    monkeypatch.setattr(tiny_tokenizer, "chat_template", None)
    forced = QueryPrompts(tiny_tokenizer, settings.prompt, examples=examples.model_copy(update={"form": "turns"}))
    with pytest.raises(SettingError, match="form: turns found, but the model has no chat template"):
        forced.render([TEXTS["sort"]], [""])


def test_examples_where_nothing_is_fine_tuned() -> None:
    """``auto`` shows a model three worked examples where there is no pair that it could learn from, and none where there is one."""
    settings = prompted("auto", ["question", "labelled"])
    assert draw_examples(settings, PAIRS, TEXTS, seed=1) == NO_EXAMPLES
    untuned = draw_examples(settings, seed=1)
    assert untuned == draw_untuned_examples(settings, seed=1) == draw_examples(prompted(3, ["question"]), seed=1)
    assert (untuned.per_prompt, untuned.types) == (3, ["question"])
    assert draw_untuned_examples(prompted("auto", ["labelled"]), seed=1) == NO_EXAMPLES
    assert draw_untuned_examples(prompted(0, ["question"]), seed=1) == NO_EXAMPLES
    with pytest.raises(ValueError, match="per_prompt"):
        prompted("always", ["question"])


def test_labelled_examples_never_show_the_document_itself(tiny_tokenizer: Any) -> None:
    settings = prompted(2, ["question", "labelled"], keywords=2)
    examples = draw_examples(settings, PAIRS, TEXTS, seed=3)
    assert len(examples.by_type["labelled"]) == 3
    prompts = QueryPrompts(tiny_tokenizer, settings.prompt, examples=examples)
    for name, document in TEXTS.items():
        (prompt,) = prompts.render([document], [""])
        assert prompt.count("Query:") == 3
        assert QUERIES[name] not in prompt, "a type that none names: labelled ones before others"
        assert sum(query in prompt for query in QUERIES.values()) == 2
    for example in examples.by_type["labelled"]:
        words = example.keywords.split(", ") if example.keywords else []
        assert len(words) <= 2
        assert all(word in example.query.lower() and word in example.document.lower() for word in words)
    assert any(example.keywords for example in examples.by_type["labelled"])
    assert draw_examples(settings, seed=3).types == ["question"]
    with pytest.raises(ValueError, match=r"query_types: labelled alone found, and there is no labelled pair"):
        draw_examples(prompted(2, ["labelled"]), seed=3)


def test_the_texts_that_come_with_the_program_are_enough_for_any_number() -> None:
    largest = draw_examples(prompted(16, ["question", "claim", "keywords", "title"]), seed=1)
    assert {len(examples) for examples in largest.by_type.values()} == {16}
    assert len({example.query for examples in largest.by_type.values() for example in examples}) == 64
    with pytest.raises(ValueError, match="less than or equal to 16"):
        prompted(17, ["question"])
    assert Examples.model_validate(largest.model_dump()) == largest
