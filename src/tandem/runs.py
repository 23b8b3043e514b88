"""Rules that every run keeps, whatever searched: a query's own document is no result, and a made-up id is nobody's document."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from ir_measures import ScoredDoc

__all__ = ["name_texts", "search_depth", "without_own"]


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
