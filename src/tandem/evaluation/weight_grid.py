"""The dev score of a fusion under many weights at once: scores are scaled once, and each vector of weights costs a sum and a sort.

The numbers are those of :func:`tandem.runs.fuse_runs` and :func:`tandem.evaluation.dev_score.ndcg_at_10`, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from ir_measures import ScoredDoc

from tandem.runs import FusionMethod, scale_scores, tie_break

__all__ = ["grid_scores"]

CUTOFF = 10


def grid_scores(
    runs: Mapping[str, Iterable[ScoredDoc]],
    pairs: Sequence[tuple[str, str]],
    weights: Iterable[Mapping[str, float]],
    *,
    method: FusionMethod,
) -> list[dict[str, float]]:
    """nDCG@10 of each query under each vector of weights, queries in the order of their ids.

    Args:
        runs: of the dev queries, by name.
        pairs: (query_id, doc_id) of what is relevant, all equally; other queries of the runs are left out.
        weights: of the runs; one that is missing or 0 leaves the run out.
        method: of putting scores on one scale.
    """
    relevant: dict[str, set[str]] = {query_id: set() for query_id in sorted({query_id for query_id, _ in pairs})}
    for query_id, doc_id in pairs:
        relevant[query_id].add(doc_id)
    names, rows = list(runs), {query_id: row for row, query_id in enumerate(relevant)}
    scaled = [scale_scores((item for item in run if item.query_id in rows), method) for run in runs.values()]
    columns = _columns(scaled, rows)
    width = max((len(places) for places in columns), default=0)
    scores, listed = np.zeros((len(names), len(rows), width)), np.zeros((len(names), len(rows), width), dtype=bool)
    for arm, by_key in enumerate(scaled):
        for (query_id, doc_id), score in by_key.items():
            place = arm, rows[query_id], columns[rows[query_id]][doc_id]
            scores[place], listed[place] = score, True
    gains = np.zeros((len(rows), width))
    for (query_id, documents), places in zip(relevant.items(), columns, strict=True):
        gains[rows[query_id], [places[doc_id] for doc_id in documents if doc_id in places]] = 1.0
    discounts = np.array([1 / math.log2(rank + 2) for rank in range(CUTOFF)])
    ideal = np.cumsum(discounts)[np.array([min(len(documents), CUTOFF) - 1 for documents in relevant.values()], dtype=int)]
    values = []
    for vector in weights:
        order = _first(scores, listed, [vector.get(name, 0.0) for name in names])
        values.append(dict(zip(rows, (_dcg(gains, order, discounts) / ideal).tolist(), strict=True)))
    return values


def _columns(scaled: Iterable[Mapping[tuple[str, str], float]], rows: Mapping[str, int]) -> list[dict[str, int]]:
    """The documents that any run has for each query, in the order in which equal scores stand, so that a stable sort keeps to it."""
    documents: list[set[str]] = [set() for _ in rows]
    for by_key in scaled:
        for query_id, doc_id in by_key:
            documents[rows[query_id]].add(doc_id)
    ordered = [sorted(names, key=partial(tie_break, query_id)) for query_id, names in zip(rows, documents, strict=True)]
    return [{doc_id: place for place, doc_id in enumerate(names)} for names in ordered]


def _first(scores: np.ndarray, listed: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """The first columns of each row, best first; -1 where no run that counts has so many documents."""
    total, counted = np.zeros(scores.shape[1:]), np.zeros(scores.shape[1:], dtype=bool)
    for arm, weight in enumerate(weights):
        if weight:
            total += weight * scores[arm]  # in the order of fuse_runs, for a sum of floats depends on it
            counted |= listed[arm]
    keys = np.where(np.isnan(total), np.inf, -total)  # what is no number comes last, what no run has behind it
    order = np.where(counted, keys, np.nan).argsort(axis=1, kind="stable")[:, :CUTOFF]
    return np.where(np.take_along_axis(counted, order, axis=1), order, -1)


def _dcg(gains: np.ndarray, order: np.ndarray, discounts: np.ndarray) -> np.ndarray:
    total = np.zeros(len(gains))
    for rank in range(order.shape[1]):
        column = order[:, rank]
        total += np.where(column < 0, 0.0, gains[np.arange(len(gains)), column] * discounts[rank])
    return total
