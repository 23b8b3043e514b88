"""Parts of params.yaml that several stages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from tandem.generators.prompts import PromptedSettings
from tandem.retrievers.bm25 import BM25Index, BM25Settings
from tandem.settings import (
    BatchSize,
    Count,
    CountOrZero,
    Depth,
    PositiveShare,
    Settings,
    Temperature,
    Tokens,
)
from tandem.text import Language

__all__ = [
    "LexicalParams",
    "PromptedParams",
    "SamplingParams",
    "WindowParams",
]


class LexicalParams(Settings):
    """How words are read and weighed, the same in every stage."""

    bm25: BM25Settings
    language: Language
    """of documents and queries: its stop words and stems"""

    def index(self, texts: Mapping[str, str]) -> BM25Index:
        """BM25 over a corpus, text by doc_id."""
        return BM25Index(texts, self.bm25, language=self.language)


class PromptedParams(PromptedSettings):
    """The prompt, and the language that its keywords are taken from."""

    def asked(self) -> dict[str, Any]:
        """Arguments of tandem.generators.sampling.plan_prompts."""
        return {**self.prompt.model_dump(), "language": self.language}


class SamplingParams(Settings):
    """How queries are sampled."""

    queries_per_document: Count
    temperature: Temperature
    """0 decodes greedily"""
    top_p: PositiveShare
    top_k: CountOrZero
    """0 is all tokens"""
    max_new_tokens: Tokens
    batch_size: BatchSize


class WindowParams(Settings):
    """Which documents of a run may be hard negatives."""

    rank_start: Depth
    """the first rank of the window"""
    rank_end: Depth
    """the last rank of the window; the query's documents are not counted"""
    negatives_per_query: CountOrZero
    """negatives a query, at most"""
    relative_margin: PositiveShare | None
    """a negative scores at most this share of the query's own document; null asks nothing"""

    @model_validator(mode="after")
    def _start_before_end(self) -> Self:
        if self.rank_start > self.rank_end:
            raise ValueError(f"rank_start: {self.rank_start} found, at most rank_end, {self.rank_end}, is allowed")
        return self
