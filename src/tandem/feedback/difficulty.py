"""How hard each pseudo query is for the retriever that was trained on it (iGFT, section 4.4 and equation 13)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

from tandem.records import Difficulty
from tandem.settings import Depth, Settings

__all__ = ["DifficultySettings", "Mode", "document_difficulty", "query_difficulty", "score_difficulty", "summarise"]

Mode = Literal["log_rank", "paper"]


class DifficultySettings(Settings):
    """What difficulty means."""

    mode: Mode
    """log_rank, or paper: equation 13 with shifted scores"""
    depth: Depth
    """of the run; ranks beyond it count as depth + 1"""


def query_difficulty(*, rank: int, score: float, query_tokens: int, corpus_size: int, mode: Mode) -> float:
    """The difficulty of one query.

    ``paper`` is equation 13, ``rank / S``, with the MaxSim score ``S`` shifted to (0, 1] per query token, for the quotient changes its
    sign where the score does: ``S' = max((S / |q| + 1) / 2, .001)``. ``log_rank`` is ``log2(rank) / log2(N)`` in [0, 1], which one outlier
    cannot rule and which does not grow with the corpus.

    Args:
        rank: of the query's document, from 1.
        score: its MaxSim.
        query_tokens: |q|.
        corpus_size: N, at least 2.
        mode: which of the two.
    """
    if mode == "paper":
        return rank / max((score / query_tokens + 1) / 2, 1e-3)
    return min(math.log2(rank) / math.log2(max(corpus_size, 2)), 1.0)


def score_difficulty(
    targets: Mapping[str, str],
    ranks: Mapping[str, tuple[int, float]],
    query_tokens: Mapping[str, int],
    settings: DifficultySettings,
    *,
    corpus_size: int,
) -> list[Difficulty]:
    """The difficulty of each query; a document beyond the run's depth has rank ``depth + 1`` and the lowest score seen.

    Args:
        targets: doc_id by query_id.
        ranks: (rank, score) by query_id, as a round trip gives them.
        query_tokens: by query_id.
        settings: what difficulty means.
        corpus_size: documents in the corpus.
    """
    lowest = min((score for _, score in ranks.values()), default=0.0)
    rows = []
    for query_id, doc_id in targets.items():
        rank, score = ranks.get(query_id, (min(settings.depth + 1, corpus_size), lowest))
        tokens = query_tokens[query_id]
        value = query_difficulty(rank=rank, score=score, query_tokens=tokens, corpus_size=corpus_size, mode=settings.mode)
        rows.append(Difficulty(query_id=query_id, doc_id=doc_id, rank=rank, score=score, difficulty=value))
    return rows


def document_difficulty(rows: Sequence[Difficulty]) -> dict[str, float]:
    """The mean difficulty of each document's queries: the order in which the curriculum visits documents."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row.doc_id, []).append(row.difficulty)
    return {doc_id: statistics.fmean(difficulties) for doc_id, difficulties in values.items()}


def summarise(rows: Sequence[Difficulty]) -> dict[str, float]:
    """Mean difficulty, the share at rank 1 and the share beyond rank 10."""
    count = max(len(rows), 1)
    return {
        "queries": len(rows),
        "mean_difficulty": sum(row.difficulty for row in rows) / count,
        "share_at_rank_1": sum(row.rank == 1 for row in rows) / count,
        "share_beyond_rank_10": sum(row.rank > 10 for row in rows) / count,
    }
