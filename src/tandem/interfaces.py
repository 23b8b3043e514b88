"""What can be done with the things that the program is about: protocols, each with several implementations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ir_measures import ScoredDoc

__all__ = ["Reward", "Searcher"]


class Reward(Protocol):
    """Tells what a query is worth to the document that it was written for."""

    def __call__(self, queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
        """One number for each query and its document, in the order given; higher is better."""
        ...


class Searcher(Protocol):
    """Ranks a corpus for queries: BM25, an index of vectors, a fusion of both."""

    def search(self, queries: Mapping[str, str], *, depth: int) -> Sequence[ScoredDoc]:
        """Rank the corpus for each query, given as text by query_id, best first, to a depth of results a query."""
        ...
