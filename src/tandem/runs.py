"""Runs as values: their one order, the fusion of several, the document that a query is, ids that are nobody's."""

from __future__ import annotations

import math
import zlib
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Literal

from ir_measures import ScoredDoc

__all__ = ["FusionMethod", "below", "fuse_runs", "name_texts", "rank_results", "scale_scores", "search_depth", "tie_break", "without_own"]


FusionMethod = Literal["min_max", "reciprocal_rank"]
"""min_max: scores of each run scaled to 0 to 1 within a query; reciprocal_rank: 1 / (60 + rank), Cormack et al. 2009"""
RANK_CONSTANT = 60


def rank_results(run: Iterable[ScoredDoc]) -> dict[str, list[ScoredDoc]]:
    """A run by query, best first: the one order of measures, mining, reranking and reports.

    Equal scores are ordered by a digest of both ids, which is the same everywhere and favours nobody: by doc_id, a row's relevant
    document, which often stands first, would win or lose every tie. A score that is no number comes last.
    """
    return {query_id: sorted(items, key=_place) for query_id, items in _by_query(run).items()}


def _by_query(run: Iterable[ScoredDoc]) -> dict[str, list[ScoredDoc]]:
    by_query: dict[str, list[ScoredDoc]] = {}
    for item in run:
        by_query.setdefault(item.query_id, []).append(item)
    return by_query


def _place(item: ScoredDoc) -> tuple[float, int, str]:
    score = -math.inf if math.isnan(item.score) else item.score
    return -score, *tie_break(item.query_id, item.doc_id)


def tie_break(query_id: str, doc_id: str) -> tuple[int, str]:
    """What equal scores of a query are ordered by."""
    return zlib.crc32(f"{query_id}\t{doc_id}".encode()), doc_id


def without_own(run: Iterable[ScoredDoc], *, depth: int) -> list[ScoredDoc]:
    """Leave out of each query's results the document that has the query's id, then cut to a depth: BEIR's ``ignore_identical_ids``.

    In ArguAna and Quora queries are documents of the corpus, each of which would win the search for it.

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


def fuse_runs(runs: Mapping[str, Iterable[ScoredDoc]], weights: Mapping[str, float], *, method: FusionMethod) -> list[ScoredDoc]:
    """The weighted sum of several runs' scores, each put on one scale within a query; a document that a run lacks has 0 there.

    Args:
        runs: by name, over the same queries.
        weights: of the runs; one that is missing or 0 leaves the run out.
        method: of putting scores on one scale.
    """
    fused: dict[tuple[str, str], float] = {}
    for name, run in runs.items():
        if weight := weights.get(name, 0.0):
            for key, score in scale_scores(run, method).items():
                fused[key] = fused.get(key, 0.0) + weight * score
    return [ScoredDoc(query_id, doc_id, score) for (query_id, doc_id), score in fused.items()]


def below(mixed: Sequence[ScoredDoc], rest: Sequence[ScoredDoc]) -> list[ScoredDoc]:
    """A mixture, whose scores are 0 to 1, with the documents that it left out below it, in the order of the scores that they have."""
    scaled = fuse_runs({"rest": rest}, {"rest": 1.0}, method="min_max")
    return [*mixed, *(ScoredDoc(item.query_id, item.doc_id, item.score - 2) for item in scaled)]


def scale_scores(run: Iterable[ScoredDoc], method: FusionMethod) -> dict[tuple[str, str], float]:
    """A run's scores by (query_id, doc_id), on one scale within each query; a score that is no number becomes 0."""
    scaled: dict[tuple[str, str], float] = {}
    if method == "reciprocal_rank":
        for query_id, items in rank_results(run).items():
            scaled |= {(query_id, item.doc_id): 1 / (RANK_CONSTANT + rank) for rank, item in enumerate(items, start=1)}
        return scaled
    for query_id, items in _by_query(run).items():
        scores = [item.score for item in items if not math.isnan(item.score)]
        low, high = (min(scores), max(scores)) if scores else (0.0, 0.0)
        for item in items:
            value = 0.0 if math.isnan(item.score) else (item.score - low) / (high - low) if high > low else 1.0
            scaled[query_id, item.doc_id] = value
    return scaled
