"""Rules that every run keeps, whatever searched: its order, a query's own document, ids that are nobody's."""

from __future__ import annotations

import math
import zlib
from collections.abc import Container, Iterable, Sequence

from ir_measures import ScoredDoc

__all__ = ["name_texts", "rank_results", "search_depth", "without_own"]


def rank_results(run: Iterable[ScoredDoc]) -> dict[str, list[ScoredDoc]]:
    """A run by query, best first: the one order of measures, mining, reranking and reports.

    Equal scores are ordered by a digest of both ids, which is the same everywhere and favours nobody: by doc_id, a row's relevant
    document, which often stands first, would win or lose every tie. A score that is no number comes last.
    """
    by_query: dict[str, list[ScoredDoc]] = {}
    for item in run:
        by_query.setdefault(item.query_id, []).append(item)
    return {query_id: sorted(items, key=_place) for query_id, items in by_query.items()}


def _place(item: ScoredDoc) -> tuple[float, int, str]:
    score = -math.inf if math.isnan(item.score) else item.score
    return -score, zlib.crc32(f"{item.query_id}\t{item.doc_id}".encode()), item.doc_id


def without_own(run: Iterable[ScoredDoc], *, depth: int) -> list[ScoredDoc]:
    """Leave out of each query's results the document of the query's own id, then cut to a depth: BEIR's ``ignore_identical_ids``.

    In ArguAna and Quora queries are documents of the corpus, each of which would win its own search.

    Args:
        run: best first within a query; to :func:`search_depth`, so that ``depth`` results are left.
        depth: results a query at most.
    """
    counts: dict[str, int] = {}
    kept = []
    for item in run:
        if item.doc_id == item.query_id or counts.get(item.query_id, 0) == depth:
            continue
        counts[item.query_id] = counts.get(item.query_id, 0) + 1
        kept.append(item)
    return kept


def search_depth(queries: Iterable[str], documents: Container[str], depth: int) -> int:
    """How many results to search for, for ``depth`` of them to be left by :func:`without_own`.

    Args:
        queries: query_ids.
        documents: doc_ids, in something that finds one at once.
        depth: results a query at most.
    """
    return depth + any(query_id in documents for query_id in queries)


def name_texts(texts: Sequence[str]) -> dict[str, str]:
    """Ids for texts that are no collection's queries, text by id; they hold a tab, as no document's id does, so none is left out."""
    return {f"\t{i}": text for i, text in enumerate(texts)}
