"""Settings of the prompt that fine-tuning, sampling, rewards and policy optimisation share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tandem.settings import CountOrZero, Settings, Tokens
from tandem.text import Language

__all__ = ["ExampleSettings", "PromptSettings", "PromptShape", "PromptedSettings", "QueryType"]

QueryType = Literal["labelled", "question", "claim", "keywords", "title"]


UNTUNED = 3  # examples before the document for a model that nothing is fine-tuned on


class ExampleSettings(Settings):
    """Worked examples before the document of every prompt that is written on from."""

    per_prompt: Annotated[int, Field(ge=0, le=16)] | Literal["auto"]
    """auto: 3 where no labelled pair is fine-tuned on, else none; with them a query ends at a line break"""
    form: Literal["auto", "turns", "text"] = "auto"
    """turns: of a chat, each asked for by what its type is, in the template's place; text: the filled template, example after example;
    auto: turns where the model has a chat template"""
    query_types: Annotated[list[QueryType], Field(min_length=1)]
    """of the examples; the queries of a document take turns with them; labelled draws from the labelled pairs, where there are any"""

    def count(self, *, tuned: bool) -> int:
        """How many examples a prompt has.

        Args:
            tuned: the model that reads it was fine-tuned on labelled pairs.
        """
        if self.per_prompt == "auto":
            return 0 if tuned else UNTUNED
        return self.per_prompt


class PromptShape(Settings):
    """What a prompt is made of, for whoever has document and keywords."""

    template: str
    """holds {document}, and {keywords} where the query is to be guided"""
    document_tokens: Tokens
    """of the document; it is cut before the query ever is"""


class PromptSettings(PromptShape):
    """The one prompt of fine-tuning, sampling, rewards and policy optimisation."""

    keywords: CountOrZero
    """words of the document that a prompt offers, at most; 0 for none"""
    ignored_words: list[str]
    """that a prompt never offers: what every document of this corpus has"""
    examples: ExampleSettings = ExampleSettings(per_prompt="auto", query_types=["question"])
    """worked examples before the document"""


class PromptedSettings(Settings):
    """The prompt, and the language that its keywords are taken from."""

    prompt: PromptSettings
    language: Language
