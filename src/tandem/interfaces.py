"""What can be done with the things that the program is about: protocols, each with several implementations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ir_measures import ScoredDoc

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Encoder", "Retriever", "Reward", "Searcher"]


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


class Retriever(Protocol):
    """A ColBERT, a dense encoder or BM25: what the pipeline trains, saves, chooses and searches with."""

    def save_pretrained(self, folder: str, /, *, create_model_card: bool) -> None:
        """Write all that loading needs into a folder."""
        ...


@runtime_checkable
class Encoder(Retriever, Protocol):
    """A retriever of vectors; sentence-transformers' SentenceTransformer and MultiVectorEncoder are such."""

    def encode_query(self, texts: list[str], /, **settings: Any) -> Tensor | list[Tensor]:
        """Vectors of queries: a row a text, or (tokens, dimensions) a text."""
        ...

    def encode_document(self, texts: list[str], /, **settings: Any) -> Tensor | list[Tensor]:
        """Vectors of documents, likewise."""
        ...

    def similarity_pairwise(self, queries: Tensor | list[Tensor], documents: Tensor | list[Tensor], /) -> Tensor:
        """The score of each query with the document at its place, (pairs,)."""
        ...
