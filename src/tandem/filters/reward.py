"""The round trip as a reward: how near the top a query brings back the document that it was written for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tandem.filters.round_trip import document_ranks
from tandem.formats.corpus import Corpus
from tandem.interfaces import Searcher
from tandem.records import Document
from tandem.runs import name_texts

__all__ = ["RoundTripReward"]

DEPTH = 100  # of the search; a document beyond it is not found


class RoundTripReward:
    """A :class:`tandem.interfaces.Reward` of ``1 - log2(rank) / log2(N)``: 1 at the top, 0 where the document is not found.

    It is one minus the log-rank difficulty, of a search instead of a trained retriever. Ranks are those of the filters: ties count against
    the document, near duplicates do not compete.

    Args:
        corpus: N documents.
        searcher: ranks the corpus.
    """

    def __init__(self, corpus: Sequence[Document], searcher: Searcher) -> None:
        self.searcher = searcher
        self.groups = Corpus.of(corpus).groups
        self.scale = math.log2(max(len(corpus), 2))

    def __call__(self, queries: Sequence[str], doc_ids: Sequence[str]) -> list[float]:
        """A number from 0 to 1 for each query and its document."""
        texts = name_texts(queries)
        targets = dict(zip(texts, doc_ids, strict=True))
        ranks = document_ranks(targets, self.searcher.search(texts, depth=DEPTH), self.groups)
        return [1 - math.log2(ranks[query_id][0]) / self.scale if query_id in ranks else 0.0 for query_id in targets]
