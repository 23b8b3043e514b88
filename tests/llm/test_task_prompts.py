"""Prompts of LLM-Embedder's tasks: the published layouts, parted at the answer, cut in their own characters, all within a length."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import TEXTS

from tandem.llm.likelihood import split_tokens
from tandem.llm.served import Words
from tandem.llm.task_prompts import TEMPLATES, PromptLengths, TaskPrompts, TaskRequest, count_cuts
from tandem.settings import SettingError

WIDE = PromptLengths(key_tokens=40, query_tokens=40, answer_tokens=20, max_length=160)


@dataclass
class Reader:
    """As much of a model as prompts need."""

    tokenizer: Any
    label: str = "reader"
    max_length: int | None = None


@pytest.fixture(scope="module")
def byte_pairs() -> Any:
    """Byte-level BPE as GPT-2, Llama 3, Qwen and SmolLM have it, trained on a few words: most characters are several tokens."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    words = "Knowledge: Question: Answer: Speaker Tool: Request: Call: "
    trained.train_from_iterator([words, *TEXTS.values()] * 3, vocab_size=400, special_tokens=["<pad>", "</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer, pad_token="<pad>", eos_token="</s>")


@pytest.fixture(params=["words", "byte pairs"])
def tokenizer(request: pytest.FixtureRequest, tiny_tokenizer: Any, byte_pairs: Any) -> Any:
    return tiny_tokenizer if request.param == "words" else byte_pairs


def render(tokenizer: Any, lengths: PromptLengths, *requests: TaskRequest) -> list[Any]:
    prompts: Any = TaskPrompts(Reader(tokenizer), lengths)  # type: ignore[arg-type]
    return list(prompts.render(requests))


PUBLISHED = {
    "qa": "Knowledge: K\n\nQuestion: Q\n\nAnswer: A",
    "convsearch": "Knowledge: K\n\nQuestion: Q\n\nAnswer: A",
    "icl": "K\nQ\nA",
    "chat": "K\nSpeaker 1: Q\nSpeaker 2: A",
    "lrlm": "KQA",
    "tool": "Tool: K\n\nRequest: Q\n\nCall: A",
}
WITHOUT_KEY = {**{task: text.split("\n\n", 1)[-1] for task, text in PUBLISHED.items()}, "icl": "Q\nA", "lrlm": "QA"}
WITHOUT_KEY["chat"] = "Speaker 1: Q\nSpeaker 2: A"


@pytest.mark.parametrize("task", PUBLISHED)
@pytest.mark.parametrize("key", ["K", " K\n", None, "", " \n"])
def test_published_layouts(task: str, key: str | None) -> None:
    expected = PUBLISHED[task] if key and key.strip() else WITHOUT_KEY[task]
    if task == "lrlm" and key == " K\n":
        expected = " K\nQA"  # pieces of one text
    (made,) = render(Words(), WIDE, TaskRequest(task, key, "Q", "A"))
    assert made.prompt + made.completion == expected
    assert made.completion.strip() == "A"
    assert made.prompt == made.prompt.rstrip(" ")
    assert not made.cut


def test_every_template_has_a_version() -> None:
    assert set(TEMPLATES) == set(PUBLISHED)
    assert all(template.version for template in TEMPLATES.values())
    layouts = {template.version: template for template in TEMPLATES.values()}
    assert len(layouts) == len({template[1:] for template in TEMPLATES.values()})


@pytest.mark.parametrize("task", TEMPLATES)
def test_the_answer_is_in_the_completion_whole_and_nothing_else_is(task: str, tokenizer: Any) -> None:
    """The published program counts the tokens behind "Answer:", whatever stands before the answer: of another layout, others."""
    answer = "the rows of a table, in order"
    (made,) = render(tokenizer, WIDE, TaskRequest(task, TEXTS["sort"], TEXTS["mean"] + "\n", answer))
    (before,), (after,) = split_tokens([made.prompt], [made.completion], tokenizer)
    whole = tokenizer(made.prompt + made.completion, return_offsets_mapping=True)
    starts = [start for start, end in whole["offset_mapping"] if end > len(made.prompt)]
    assert whole["input_ids"] == before + after
    assert len(after) == len(starts)
    assert tokenizer.decode(after).strip() == tokenizer.decode(tokenizer(answer, add_special_tokens=False)["input_ids"])
    assert (made.prompt + made.completion).endswith(answer)


def test_texts_are_no_templates() -> None:
    (made,) = render(Words(), WIDE, TaskRequest("qa", "{query} {0} '''", "{} \\n {answer}", "{key!r}"))
    assert made.prompt == "Knowledge: {query} {0} '''\n\nQuestion: {} \\n {answer}\n\nAnswer:"
    assert made.completion == " {key!r}"


def test_parts_are_cut_in_their_own_characters(tiny_tokenizer: Any) -> None:
    """This tokenizer folds case and knows few words: what it decodes is another text."""
    lengths = PromptLengths(key_tokens=3, query_tokens=2, answer_tokens=2, max_length=40)
    cut = render(tiny_tokenizer, lengths, TaskRequest("qa", "Zürich  SORTS\nRows and more", "Old turn, NEW Turn", "Forty-Two rows"))
    assert (cut[0].prompt, cut[0].completion) == ("Knowledge: Zürich  SORTS\nRows\n\nQuestion: NEW Turn\n\nAnswer:", " Forty-")
    assert count_cuts(cut) == {"key_cut": 1, "query_cut": 1, "answer_cut": 1}
    whole = render(tiny_tokenizer, lengths, TaskRequest("qa", "Zürich  SORTS\nRows", "NEW Turn", "Forty-"))
    assert whole[0][:2] == cut[0][:2]
    assert count_cuts(whole) == {"key_cut": 0, "query_cut": 0, "answer_cut": 0}


def test_nothing_is_longer_than_it_may_be(tokenizer: Any) -> None:
    """The published program declares a context length and never uses it."""
    rng = random.Random(3)
    words = [*TEXTS["solve"].split(), "Zürich", "日本語の文章", "🦜🦜", "x" * 30, "a\nb"]
    lengths = PromptLengths(key_tokens=20, query_tokens=200, answer_tokens=25, max_length=120)
    requests = [
        TaskRequest(task, *(" ".join(rng.choices(words, k=rng.randint(1, most))) for most in (60, 120, 4)))
        for task in TEMPLATES
        for _ in range(12)
    ]
    made = render(tokenizer, lengths, *requests)
    first, rest = split_tokens([one.prompt for one in made], [one.completion for one in made], tokenizer)
    totals = [len(before) + len(after) for before, after in zip(first, rest, strict=True)]
    assert max(totals) <= 120
    assert max(totals) > 90, "no more is cut than must be"
    assert all(one.completion.strip() in request.answer for one, request in zip(made, requests, strict=True))
    whole = [one.completion.strip() == request.answer for one, request in zip(made, requests, strict=True)]
    assert whole == ["answer" not in one.cut for one in made]
    assert sum(whole) > len(whole) / 4
    assert any("query" in one.cut for one in made)


def test_all_keys_have_the_same_query(tokenizer: Any) -> None:
    """Else a long key would be scored with another question than a short one."""
    lengths = PromptLengths(key_tokens=30, query_tokens=100, answer_tokens=5, max_length=70)
    keys = [None, "table", " ".join(TEXTS.values())]
    made = render(tokenizer, lengths, *(TaskRequest("qa", key, " ".join(TEXTS.values()), "draw") for key in keys))
    questions = {one.prompt.split("Question: ")[1] for one in made}
    assert len(questions) == 1
    assert next(iter(questions)).endswith("on a pair of axes.\n\nAnswer:")
    assert [sorted(one.cut) for one in made] == [["query"], ["query"], ["key", "query"]]


def test_a_length_that_leaves_no_query(tiny_tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="max_length: 30 found, more than key_tokens \\+ answer_tokens = 30 is needed"):
        PromptLengths(key_tokens=20, query_tokens=5, answer_tokens=10, max_length=30)
    lengths = PromptLengths(key_tokens=20, query_tokens=5, answer_tokens=10, max_length=35)
    with pytest.raises(SettingError, match=r"max_length: 35 found, at least \d+ is needed to leave room") as told:
        render(tiny_tokenizer, lengths, TaskRequest("qa", "k", "q", "a"))
    assert told.value.settings is lengths
    needed = int(str(told.value).split("at least ")[1].split()[0])
    render(tiny_tokenizer, lengths.model_copy(update={"max_length": needed}), TaskRequest("qa", "k", "q", "a"))


def test_a_model_that_reads_less() -> None:
    reader: Any = Reader(Words(), max_length=128)
    with pytest.raises(SettingError, match="max_length: 160 found, reader reads at most 128 tokens"):
        TaskPrompts(reader, WIDE)
    TaskPrompts(reader, WIDE.model_copy(update={"max_length": 128}))


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (TaskRequest("QA", "k", "q", "a"), "task: 'QA' found, allowed: qa, convsearch, icl, chat, lrlm, tool"),
        (TaskRequest("qa", "k", " ", "a"), "query: ' ' found in a row of task qa"),
        (TaskRequest("qa", "k", "q", "\n"), r"answer: '\\n' found in a row of task qa"),
    ],
)
def test_what_has_no_prompt(request_: TaskRequest, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        render(Words(), WIDE, request_)
    assert render(Words(), WIDE) == []
