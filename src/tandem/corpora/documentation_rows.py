"""Rows of LLM-Embedder's six tasks from documented objects: what is asked, the keys, and what a language model should write with them.

Each builder takes the objects of one split and gives its keys and rows. What is drawn depends on the generator of random numbers alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tandem.corpora.documentation_text import ask, cut_words, first_sentence, lower_first, verb_phrase
from tandem.corpora.documented_objects import DocumentedObject
from tandem.settings import Count, Settings
from tandem.text import answer_tokens, holds_answer, stop_words

__all__ = [
    "RowSettings",
    "TaskItem",
    "TaskPart",
    "build_chat",
    "build_icl",
    "build_lrlm",
    "build_qa",
    "build_tool",
    "draw",
    "make_corpus",
]

ANSWER_WORDS = (2, 12)
"""fewer are no answer, more are no short one"""
REPLY_WORDS = 40
"""of a chat's answer, at most: two sentences, or as much of the first"""
EVERYWHERE = {"none", "true", "false", "0", "1", "auto", "optional"}
"""defaults that half of all documents hold"""
SAYS_NOTHING = {"ao", "api", "base", "common", "core", "lib", "models", "src", "util", "utils"}
"""parts of modules that are no topic"""
OPEN_ENDS = stop_words("english") | {"containing", "following", "follows", "form", "comprising", "namely"}
"""words after which a sentence cannot end"""
FEWEST_LABELLED = 4


class RowSettings(Settings):
    """How large rows and corpora are."""

    keys: Count = 2000
    """of a task's corpus in one split, at most; those of the rows are always in it"""
    candidates: Count = 12
    """icl: examples that a training row brings for the teacher to choose from"""
    examples_per_label: Count = 16
    """icl: of the corpus, at most"""
    history: Count = 10
    """chat, lrlm: turns or chunks before the query that are its keys, at most"""
    chunk_words: Count = 64
    """lrlm: of a chunk"""


@dataclass(frozen=True, slots=True)
class TaskItem:
    """One row of any task: ``places`` of the relevant keys, ``candidates`` nobody has judged, and ``history``, keys of the row alone."""

    name: str
    query: str
    answers: list[str]
    places: tuple[int, ...] = ()
    candidates: tuple[int, ...] = ()
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskPart:
    """The keys of one split of a task, in the order of their places, and its rows."""

    keys: list[str]
    items: list[TaskItem]


T = TypeVar("T")


def build_qa(objects: Sequence[DocumentedObject], rows: int, settings: RowSettings, rng: random.Random) -> TaskPart:
    """A question about what comes back, or about a default, to the body that says it."""
    asked = [(item, question) for item in objects if (question := _question(item))]
    drawn = draw(asked, rows, rng)
    keys, places = make_corpus(objects, [item for item, _ in drawn], lambda item: item.body, settings, rng)
    return TaskPart(keys, [TaskItem(item.name, query, [answer], (places[item.name],)) for item, (query, answer) in drawn])


def _question(item: DocumentedObject) -> tuple[str, str] | None:
    phrase = verb_phrase(item.summary)
    low, high = ANSWER_WORDS
    result = item.result if len(item.result.split()) <= high else re.split(r"[;,(]| where | which ", item.result)[0].rstrip(" .:")
    verb, _, rest = phrase.partition(" ")
    asked: list[tuple[str, str]] = []
    if phrase and item.kind != "class" and low <= len(result.split()) <= high and result.split()[-1].lower() not in OPEN_ENDS:
        query = f"If I ask for {rest}, what comes back?" if verb == "get" else f"What comes back when I {phrase}?"
        asked.append((query, result))
    for parameter, value in item.defaults:
        if value.lower() not in EVERYWHERE:
            about = f"when I {phrase}" if phrase else f"for {lower_first(item.summary)}"
            asked.append((f"What is the default of {parameter} {about}?", value))
    body = answer_tokens(item.body)
    for query, answer in asked:
        if (
            answer in item.body
            and holds_answer(body, [answer_tokens(answer)])
            and not holds_answer(answer_tokens(query), [answer_tokens(answer)])
        ):
            return query, answer
    return None


def build_tool(objects: Sequence[DocumentedObject], rows: int, settings: RowSettings, rng: random.Random) -> TaskPart:
    """What somebody wants done, to the function that does it, which the request does not name."""
    functions = [item for item in objects if item.kind in ("function", "method")]
    asked = [item for item in functions if verb_phrase(item.summary) and not _names(item)]
    drawn = draw(asked, rows, rng)
    keys, places = make_corpus(functions, drawn, _tool, settings, rng)
    forms = ("I want to {}.", "How can I {}?", "Please {}.", "Is there a way to {}?")
    return TaskPart(
        keys,
        [
            TaskItem(item.name, rng.choice(forms).format(verb_phrase(item.summary)), [_tool_name(item)], (places[item.name],))
            for item in drawn
        ],
    )


def _names(item: DocumentedObject) -> bool:
    """Whether the summary names the function, in one word or in several."""
    return holds_answer(answer_tokens(item.summary), [answer_tokens(item.short_name), answer_tokens(item.short_name.replace("_", " "))])


def _tool_name(item: DocumentedObject) -> str:
    owner = item.name.removeprefix(item.module + ".")
    return owner if item.kind == "method" else item.short_name


def _tool(item: DocumentedObject) -> str:
    return f"{_tool_name(item)}({item.signature}): {' '.join(cut_words(item.body, 60).split())}"


def build_icl(objects: Sequence[DocumentedObject], rows: int, settings: RowSettings, rng: random.Random) -> TaskPart:
    """A text whose label is asked for, to examples of texts with labels: the kind of object, or the part of the package."""
    mixed = rng.sample(list(objects), len(objects))
    keys: list[str] = []
    by_label: dict[tuple[str, str], list[int]] = {}
    for item in mixed[::2]:
        for form, label in _labels(item):
            if len(places := by_label.setdefault((form, label), [])) < settings.examples_per_label:
                places.append(len(keys))
                keys.append(f"{_example(item)}\n{form}: {label}")
    items = []
    for item in mixed[1::2]:
        for form, label in _labels(item):
            same = by_label.get((form, label), [])
            others = [place for key, places in by_label.items() if key[0] == form and key[1] != label for place in places]
            if len(same) < FEWEST_LABELLED or len(others) < FEWEST_LABELLED:
                continue
            like = rng.sample(same, min(len(same), max(settings.candidates // 3, 1)))
            candidates = [*like, *rng.sample(others, min(len(others), max(settings.candidates - len(like), 0)))]
            rng.shuffle(candidates)
            items.append(TaskItem(f"{item.name}:{form.lower()}", f"{_example(item)}\n{form}:", [label], tuple(same), tuple(candidates)))
    return TaskPart(keys, draw(items, rows, rng))


def _labels(item: DocumentedObject) -> list[tuple[str, str]]:
    parts = (part.strip("_").removesuffix("_impl").replace("_", " ") for part in item.module.split(".")[1:])
    topic = next((part for part in parts if part and part not in SAYS_NOTHING), "")
    return [("Kind", item.kind), *([("Topic", topic)] if topic else [])]


def _example(item: DocumentedObject) -> str:
    prose = first_sentence(item.prose)
    return cut_words(f"{item.summary}. {prose}." if prose else f"{item.summary}.", 40)


def build_lrlm(objects: Sequence[DocumentedObject], rows: int, settings: RowSettings, rng: random.Random) -> TaskPart:
    """The last chunk of a long text, to the chunks before it; what follows is the answer. A long text is a module's documentation."""
    items = []
    for module, members in _grouped(objects, lambda item: item.module):
        words = " ".join(f"{item.short_name}: {item.summary}. {item.text}" for item in members).split()
        size = settings.chunk_words
        chunks = [" ".join(words[start : start + size]) for start in range(0, len(words) - size + 1, size)]
        for at in range(4, len(chunks) - 1, 2):
            history = tuple(dict.fromkeys(chunks[max(at - settings.history, 0) : at]))
            items.append(TaskItem(f"{module}:{at}", chunks[at], [chunks[at + 1]], history=history))
    return TaskPart([], draw(items, rows, rng))


def build_chat(objects: Sequence[DocumentedObject], rows: int, settings: RowSettings, rng: random.Random) -> TaskPart:
    """A turn of a talk about one class or module, to the earlier turns; what is said next is the answer."""
    items = []
    for _, members in _grouped(objects, lambda item: item.name.rpartition(".")[0] if item.kind == "method" else item.module):
        turns = [(item.name, asked, reply) for item in members if (asked := ask(item.summary, rng)) and (reply := _reply(item))]
        for at in range(3, len(turns)):
            name, question, reply = turns[at]
            history = tuple(f"Speaker 1: {said}\nSpeaker 2: {told}" for _, said, told in turns[max(at - settings.history, 0) : at])
            items.append(TaskItem(name, question, [reply], history=history))
    return TaskPart([], draw(items, rows, rng))


def _reply(item: DocumentedObject) -> str:
    """The first two sentences of what is said of an object, or what it gives back."""
    first = first_sentence(item.prose)
    second = first_sentence(item.prose[len(first) + 1 :].lstrip()) if item.prose.startswith(first) else ""
    got = f"{'It' if verb_phrase(item.result) else 'You get'} {lower_first(item.result)}" if item.result else ""
    text = ". ".join(sentence for sentence in (first, second) if sentence) or got
    if len(text.split()) > REPLY_WORDS:
        text = cut_words(first or text, REPLY_WORDS)
    return f"{text}." if len(text.split()) >= 5 else ""


def _grouped(objects: Iterable[DocumentedObject], key: Callable[[DocumentedObject], str]) -> list[tuple[str, list[DocumentedObject]]]:
    groups: dict[str, list[DocumentedObject]] = {}
    for item in objects:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def draw(items: Sequence[T], count: int, rng: random.Random) -> list[T]:
    """Some of the items, in their order."""
    chosen = sorted(rng.sample(range(len(items)), min(count, len(items))))
    return [items[i] for i in chosen]


def make_corpus(
    objects: Sequence[DocumentedObject],
    needed: Sequence[DocumentedObject],
    text: Callable[[DocumentedObject], str],
    settings: RowSettings,
    rng: random.Random,
) -> tuple[list[str], dict[str, int]]:
    """The keys of the rows and of others, in the order of the objects, and their places by name."""
    names = {item.name for item in needed}
    others = draw([item for item in objects if item.name not in names], max(settings.keys - len(names), 0), rng)
    names |= {item.name for item in others}
    kept = [item for item in objects if item.name in names]
    return [text(item) for item in kept], {item.name: place for place, item in enumerate(kept)}
