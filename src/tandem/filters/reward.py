"""The round trip as a reward: how near the top a query brings back the document that it was written for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

from tandem.filters.round_trip import Search, document_ranks
from tandem.records import Document, document_text, group_numbers
from tandem.runs import name_texts

__all__ = ["round_trip_reward"]

Reward = Callable[[Sequence[str], Sequence[str]], list[float]]


def round_trip_reward(corpus: Sequence[Document], search: Search) -> Reward:
    """A function of document texts and queries that gives ``1 - log2(rank) / log2(N)``: 1 at the top, 0 where it is not found.

    It is one minus the log-rank difficulty, of a search instead of a trained retriever. Ranks are the filters': ties count against
    the document, near duplicates do not compete.

    Args:
        corpus: N documents; of equal texts the first stands for all.
        search: queries, text by query_id, to a run.
    """
    groups = group_numbers(corpus)
    known: dict[bytes, str] = {}
    for document in corpus:
        known.setdefault(_digest(document_text(document)), document.doc_id)
    scale = math.log2(max(len(corpus), 2))

    def reward(documents: Sequence[str], queries: Sequence[str]) -> list[float]:
        named = name_texts(queries)
        targets = {name: known[_digest(document)] for name, document in zip(named, documents, strict=True)}
        ranks = document_ranks(targets, search(named), groups)
        return [1 - math.log2(ranks[i][0]) / scale if i in ranks else 0.0 for i in targets]

    return reward


def _digest(text: str) -> bytes:
    """What stands for a text, so that memory holds no texts."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
