"""What can be done with the things that the program is about: protocols, each with several implementations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from ir_measures import ScoredDoc

from tandem.settings import CountOrZero, PositiveShare, Settings, Temperature, Tokens

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Completion", "Encoder", "LanguageModel", "LogLikelihood", "Retriever", "Reward", "SamplingSettings", "Searcher"]


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


class SamplingSettings(Settings):
    """How a language model writes."""

    temperature: Temperature
    """0 decodes greedily"""
    top_p: PositiveShare
    """the likeliest tokens up to this mass are sampled from; 1 keeps all"""
    top_k: CountOrZero
    """the likeliest tokens to sample from; 0 is all of them"""
    max_new_tokens: Tokens


class Completion(NamedTuple):
    """What a model wrote, with the tokens that it read and wrote."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class LogLikelihood(NamedTuple):
    """How likely a model finds a text: the sum of its tokens' natural log-probabilities, and how many tokens there are."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        """A token's mean log-probability."""
        return self.total / self.tokens


class LanguageModel(Protocol):
    """Writes on from a text, and says how likely a text is."""

    def complete(
        self,
        prompts: Sequence[str],
        sampling: SamplingSettings,
        *,
        seed: int | str,
        one_line: bool = False,
        groups: Sequence[str] = (),
    ) -> list[Completion]:
        """A completion of each prompt, in order.

        A completion depends on the model, the prompt, the sampling, the seed and how often the same prompt stands before it in the list;
        not on the prompts beside it, but for rounding.

        Args:
            prompts: whole, as the model reads them.
            sampling: how it writes.
            seed: of the draws.
            one_line: a completion ends before its first line break; a chat model behind a server is not held to it.
            groups: of each prompt, where those of a group begin alike, as the queries of a document do; a hint for speed alone.
        """
        ...

    def log_likelihood(self, prompts: Sequence[str], completions: Sequence[str]) -> list[LogLikelihood]:
        """How likely each completion is after its prompt, in order.

        Raises:
            ValueError: a completion is empty, or the model cannot say.
        """
        ...

    def costs(self) -> dict[str, float]:
        """What all completions so far have cost.

        ``requests`` made, ``cached`` (that were not made), ``prompt_tokens``, ``completion_tokens``, ``tokens_per_second``, and ``cost``
        where a price is known.
        """
        ...
