"""Worked examples before a prompt's document: a model that was trained for no such thing reads from them what a query is.

They are drawn by seed, once for a generator: from texts that come with the program, in several types of query, and from the labelled pairs.
All prompts of a type then begin alike, and their beginning is computed once. A model that is fine-tuned on labelled pairs has learnt from
them what a query is, and needs no examples: ``per_prompt: auto`` gives it none.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tandem.generators.example_texts import EXAMPLE_TEXTS
from tandem.generators.keywords import content_words, offer_keywords
from tandem.generators.prompt_settings import PromptedSettings
from tandem.records import LabelledPair
from tandem.settings import SettingError

__all__ = ["NO_EXAMPLES", "Example", "Examples", "draw_examples", "draw_untuned_examples"]


class Example(BaseModel):
    """A document and a query that it answers, with words of both that its prompt offers."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    document: str
    query: str
    keywords: str


class Examples(BaseModel):
    """The examples of a generator's prompts, by type of query; of labelled ones there is one to spare."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    per_prompt: int
    by_type: dict[str, list[Example]]
    form: Literal["auto", "turns", "text"] = "text"

    @property
    def types(self) -> list[str]:
        """The types of query that there are examples of."""
        return list(self.by_type)

    def type_of(self, query_type: str) -> str:
        """The type that a query is asked for as: itself, or the first there is, labelled ones before others."""
        return query_type if query_type in self.by_type else "labelled" if "labelled" in self.by_type else self.types[0]

    def before(self, document: str, query_type: str) -> list[Example]:
        """What stands before a document, which is never among it: a model would copy its query.

        Args:
            document: that a query is wanted for.
            query_type: of the query; see :meth:`type_of`.
        """
        if not self.by_type:
            return []
        return [example for example in self.by_type[self.type_of(query_type)] if example.document != document][: self.per_prompt]


NO_EXAMPLES = Examples(per_prompt=0, by_type={})


def draw_examples(
    prompted: PromptedSettings, pairs: Sequence[LabelledPair] = (), documents: Mapping[str, str] | None = None, *, seed: int
) -> Examples:
    """Draw the examples of a generator.

    Args:
        prompted: how many, of which types, with how many keywords.
        pairs: labelled ones, for the type ``labelled``; they must be none that anything is measured on.
        documents: text by doc_id, of the pairs at least.
        seed: of the draw.

    Raises:
        SettingError: ``labelled`` is the only type, and there is no pair.
    """
    settings = prompted.prompt.examples
    count = settings.count(tuned=bool(pairs))
    if not count:
        return NO_EXAMPLES
    by_type: dict[str, list[Example]] = {}
    for query_type in dict.fromkeys(settings.query_types):
        if query_type == "labelled":
            texts = _labelled_texts(pairs, documents or {}, count + 1, seed)
        else:
            texts = _written_texts(query_type, count, seed)
        if texts:
            by_type[query_type] = [_example(document, query, prompted, seed) for document, query in texts]
    if not by_type:
        error = SettingError("query_types", "labelled alone found, and there is no labelled pair; add question, claim, keywords or title")
        error.settings = settings
        raise error
    return Examples(per_prompt=count, by_type=by_type, form=settings.form)


def draw_untuned_examples(prompted: PromptedSettings, *, seed: int) -> Examples:
    """The examples of a model that nothing was fine-tuned on, where there is no labelled pair: none where every type is ``labelled``."""
    return NO_EXAMPLES if {*prompted.prompt.examples.query_types} == {"labelled"} else draw_examples(prompted, seed=seed)


def _example(document: str, query: str, prompted: PromptedSettings, seed: int) -> Example:
    """An example that offers keywords as its prompts do: words that document and query share."""
    prompt = prompted.prompt
    inside = set(content_words(document, prompted.language, prompt.ignored_words))
    shared = [word for word in content_words(query, prompted.language, prompt.ignored_words) if word in inside]
    rng = random.Random(f"examples:{seed}:{query}")
    return Example(document=document, query=query, keywords=offer_keywords(shared, {}, least=1, most=prompt.keywords, rng=rng))


def _written_texts(query_type: str, count: int, seed: int) -> list[tuple[str, str]]:
    """Documents and queries of one type that come with the program."""
    ordered = sorted(EXAMPLE_TEXTS, key=lambda text: _digest(f"{seed}:{query_type}:{text.title}"))
    return [(text.document, getattr(text, query_type)) for text in ordered[:count]]


def _labelled_texts(pairs: Sequence[LabelledPair], documents: Mapping[str, str], count: int, seed: int) -> list[tuple[str, str]]:
    """Documents and queries of labelled pairs, no document and no query twice."""
    chosen: dict[str, str] = {}
    for pair in sorted(pairs, key=lambda pair: _digest(f"{seed}:{pair.query_id}:{pair.doc_id}")):
        if len(chosen) < count and pair.doc_id not in chosen and pair.text not in chosen.values() and pair.relevance > 0:
            chosen[pair.doc_id] = pair.text
    return [(documents[doc_id], query) for doc_id, query in chosen.items()]


def _digest(content: str) -> bytes:
    return hashlib.sha256(f"examples:{content}".encode()).digest()
