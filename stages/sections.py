"""Parts of params.yaml that several stages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import model_validator

from tandem.retrievers.bm25 import BM25Index, BM25Settings
from tandem.settings import (
    CountOrZero,
    Depth,
    PositiveShare,
    Settings,
)
from tandem.text import Language

__all__ = [
    "LexicalParams",
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


class WindowParams(Settings):
    """Which documents of a run may be hard negatives."""

    rank_start: Depth
    """the first rank of the window"""
    rank_end: Depth
    """the last rank of the window; the query's documents are not counted"""
    negatives_per_query: CountOrZero
    """negatives a query, at most"""
    relative_margin: PositiveShare | None
    """a negative scores at most this share of the query's document; null asks nothing"""

    @model_validator(mode="after")
    def _start_before_end(self) -> Self:
        if self.rank_start > self.rank_end:
            raise ValueError(f"rank_start: {self.rank_start} found, at most rank_end, {self.rank_end}, is allowed")
        return self
