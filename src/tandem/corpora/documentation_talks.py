"""Conversational search in documentation: a last turn that says only what differs from the turn before, and so means nothing alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tandem.corpora.documentation_rows import RowSettings, TaskItem, TaskPart, draw, make_corpus
from tandem.corpora.documentation_text import INFINITIVES, ask, first_sentence
from tandem.corpora.documented_objects import DocumentedObject
from tandem.text import split_words, stem_words, stop_words

__all__ = ["build_convsearch"]

NEIGHBOURS = 40  # objects of a module before and after one that it is compared with
SHARED, NEW = 2, 3  # content words that two summaries share at least, and that the last turn says anew at most


def build_convsearch(objects: Sequence[DocumentedObject], rows: int, settings: RowSettings, rng: random.Random) -> TaskPart:
    """Earlier turns and a last one that alone is ambiguous, to the body of the object that it means; its first sentence is the answer."""
    before = _predecessors(objects)
    by_name = {item.name: item for item in objects}
    talks = []
    for item in objects:
        answer = first_sentence(item.prose)
        if item.name not in before or len(answer.split()) < 4 or answer not in item.body:
            continue
        name, turn = before[item.name]
        first = before.get(name, ("", ""))[0]
        earlier = [by_name[first]] if first and first != item.name else []
        talks.append((item, [*earlier, by_name[name]], turn, answer))
    drawn = draw(talks, rows, rng)
    keys, places = make_corpus(objects, [item for item, *_ in drawn], lambda item: item.body, settings, rng)
    items = []
    for item, earlier, turn, answer in drawn:
        turns = [
            *(ask(other.summary, rng) for other in earlier),
            rng.choice(("And {}?", "What about {}?", "And what about {}?")).format(turn),
        ]
        items.append(TaskItem(item.name, "\n".join(turns), [answer], (places[item.name],)))
    return TaskPart(keys, items)


def _predecessors(objects: Sequence[DocumentedObject]) -> dict[str, tuple[str, str]]:
    """For each object that has one, the object to ask about before it, and what to ask then.

    It is one that the other's See Also names, or a neighbour in its module: the one whose summary shares most words.
    """
    words = [_content(item.summary) for item in objects]
    by_short: dict[tuple[str, str], list[int]] = {}
    for i, item in enumerate(objects):
        by_short.setdefault((item.package, item.short_name), []).append(i)
    before = {}
    for i, item in enumerate(objects):
        near = [j for j in range(max(i - NEIGHBOURS, 0), min(i + NEIGHBOURS, len(objects))) if objects[j].module == item.module]
        linked = {j for name in item.related for j in by_short.get((item.package, name.rpartition(".")[2]), ())}
        askable = (j for j in {*near, *linked} - {i} if ask(objects[j].summary, random.Random(0)))
        ranked = sorted(askable, key=lambda j: (j not in linked, -len(words[i] & words[j]), j))
        for j in ranked:
            if len(words[i] & words[j]) >= SHARED and (turn := _difference(objects[j].summary, item.summary)):
                before[item.name] = objects[j].name, turn
                break
    return before


def _content(text: str) -> frozenset[str]:
    return frozenset(split_words(text, minimum=2)) - stop_words("english") - INFINITIVES


def _difference(earlier: str, later: str) -> str:
    """The one run of words that the later summary has and the earlier has not; empty where there are several, or it is long."""
    known = set(stem_words(split_words(earlier), "english"))
    words = later.split()
    new = [i for i, word in enumerate(words) if not set(stem_words(split_words(word), "english")) <= known and _content(word)]
    if not new or new[-1] - new[0] >= NEW or new[0] == 0:
        return ""
    run = " ".join(words[new[0] : new[-1] + 1]).strip(" .,;:()[]\"'")
    whole = all(run.count(opening) == run.count(closing) for opening, closing in ("()", "[]"))
    return run if whole and len(run) > 2 and 1 <= len(_content(run)) <= NEW else ""
