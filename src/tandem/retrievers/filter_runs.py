"""The runs that a round-trip filter can ask for, by name, over one corpus; the corpus is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ir_measures import ScoredDoc

from tandem.formats.texts import texts_of
from tandem.records import Document
from tandem.retrievers import bm25
from tandem.text import Language

__all__ = ["FilterRuns"]


class FilterRuns:
    """Runs over a corpus for queries that each have a document of their own.

    Args:
        corpus: the documents.
        encoder: folder of the dense filter; loaded when a dense run is asked for.
        vectors: file of the corpus's vectors by that encoder.
        device: of the encoder.
        depth: results a query.
        candidates: of ``bm25_sampled``, other documents a query.
        settings: of both BM25 runs.
        language: of the documents.
        initial: the retriever that a ``retriever`` run searches with; see :meth:`search`.
        seed: of the candidate draws.
    """

    def __init__(
        self,
        corpus: Sequence[Document],
        encoder: Path,
        vectors: Path,
        *,
        device: str,
        depth: int,
        candidates: int = 100,
        settings: bm25.BM25Settings | None = None,
        language: Language = "english",
        initial: Callable[[], Any] | None = None,
        seed: int,
    ) -> None:
        self.initial = initial
        self.documents = texts_of(corpus)
        self.encoder, self.vectors, self.device = encoder, vectors, device
        self.depth, self.candidates, self.seed = min(depth, len(corpus)), candidates, seed
        self.settings, self.language = settings, language
        self.index: bm25.Index | None = None  # both are built when they are first asked for
        self.candidate_index: bm25.CandidateIndex | None = None

    def search(self, name: str, queries: Mapping[str, tuple[str, str]]) -> list[ScoredDoc]:
        """The run of a name for queries given as (text, own doc_id) by query_id.

        ``retriever`` is the one that every round starts from, before any training.

        Raises:
            ValueError: the name is none of bm25, bm25_sampled, dense, retriever.
        """
        texts = {query_id: text for query_id, (text, _) in queries.items()}
        if name == "bm25":
            self.index = self.index or bm25.Index(self.documents, self.settings, language=self.language)
            return self.index.search(texts, depth=self.depth)
        if name == "bm25_sampled":
            self.candidate_index = self.candidate_index or bm25.CandidateIndex(self.documents, self.settings, language=self.language)
            run = self.candidate_index.search(queries, candidates=self.candidates, seed=self.seed)
            return [item for item in run if item.score > 0]  # those that share a word with their query
        if name == "dense":
            from tandem.retrievers.dense import load_dense, search

            self.model = getattr(self, "model", None) or load_dense(str(self.encoder), device=self.device)
            return search(self.model, self.documents, texts, depth=self.depth, vectors=np.load(self.vectors))
        if name == "retriever" and self.initial is not None:
            from tandem.retrievers.retriever import search as search_exactly

            self.retriever = getattr(self, "retriever", None) or self.initial()
            return search_exactly(self.retriever, self.documents, texts, depth=self.depth)
        raise ValueError(f"run: {name!r} found, allowed: bm25, bm25_sampled, dense, retriever")
