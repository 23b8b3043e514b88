"""The runs that round-trip filters and the mining of hard negatives ask for by name, over one corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ir_measures import ScoredDoc

from tandem.formats.corpus import Corpus
from tandem.interfaces import Searcher
from tandem.records import Document
from tandem.retrievers.bm25 import BM25Settings, CandidateIndex
from tandem.text import Language

__all__ = ["FilterRuns"]

SAMPLED = "bm25_sampled"


class FilterRuns:
    """Runs over a corpus for queries that each have a source document.

    Args:
        corpus: the documents.
        searchers: opened indexes by name.
        depth: results a query.
        candidates: of ``bm25_sampled``, other documents a query.
        bm25: settings of ``bm25_sampled``, whose index is made of the documents when it is first asked for.
        language: of the documents.
        seed: of the candidate draws.
    """

    def __init__(
        self,
        corpus: Sequence[Document],
        searchers: Mapping[str, Searcher],
        *,
        depth: int,
        candidates: int = 100,
        bm25: BM25Settings | None = None,
        language: Language = "english",
        seed: int,
    ) -> None:
        self.documents, self.searchers = Corpus.of(corpus).texts, dict(searchers)
        self.depth, self.candidates, self.seed = min(depth, len(corpus)), candidates, seed
        self.bm25, self.language = bm25, language
        self.candidate_index: CandidateIndex | None = None

    def search(self, name: str, queries: Mapping[str, tuple[str, str]]) -> list[ScoredDoc]:
        """The run of a name for queries given as (text, doc_id of the source document) by query_id.

        Raises:
            ValueError: nothing has the name.
        """
        if name == SAMPLED:
            self.candidate_index = self.candidate_index or CandidateIndex(self.documents, self.bm25, language=self.language)
            run = self.candidate_index.search(queries, candidates=self.candidates, seed=self.seed)
            return [item for item in run if item.score > 0]  # those that share a word with their query
        if name not in self.searchers:
            raise ValueError(f"run: {name!r} found, allowed: {', '.join(sorted([SAMPLED, *self.searchers]))}")
        return list(self.searchers[name].search({query_id: text for query_id, (text, _) in queries.items()}, depth=self.depth))
