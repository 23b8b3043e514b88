"""Runs fused under many weights: scores are scaled once, and each vector of weights costs a sum and a sort.

The numbers are those of :func:`tandem.runs.fuse_runs` and :func:`tandem.evaluation.dev_score.ndcg_at_10`, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from ir_measures import ScoredDoc

from tandem.runs import FusionMethod, scale_scores, tie_break

__all__ = ["ScaledRuns", "grid_scores"]

CUTOFF = 10


class ScaledRuns:
    """Several runs as arrays (runs, queries, documents): each score on one scale, and whether the run has the document.

    Args:
        runs: by name.
        method: of putting scores on one scale.
    """

    def __init__(self, runs: Mapping[str, Iterable[ScoredDoc]], *, method: FusionMethod) -> None:
        self.names = list(runs)
        scaled = [scale_scores(run, method) for run in runs.values()]
        documents: dict[str, set[str]] = {}
        for by_key in scaled:
            for query_id, doc_id in by_key:
                documents.setdefault(query_id, set()).add(doc_id)
        # In the order in which equal scores stand, so that a stable sort keeps to it.
        self.documents = {query_id: sorted(names, key=partial(tie_break, query_id)) for query_id, names in documents.items()}
        self.rows = {query_id: row for row, query_id in enumerate(self.documents)}
        self.columns = [{doc_id: column for column, doc_id in enumerate(names)} for names in self.documents.values()]
        shape = (len(self.names), len(self.rows), max(map(len, self.columns), default=0))
        self.scores, self.listed = np.zeros(shape), np.zeros(shape, dtype=bool)
        for arm, by_key in enumerate(scaled):
            for (query_id, doc_id), score in by_key.items():
                place = arm, self.rows[query_id], self.columns[self.rows[query_id]][doc_id]
                self.scores[place], self.listed[place] = score, True

    def order(self, weights: Mapping[str, float], *, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """The best columns of each query, best first, and all fused scores.

        Args:
            weights: of the runs; one that is missing or 0 leaves the run out.
            depth: columns a query at most.

        Returns:
            (queries, depth), -1 where no run that counts has so many documents; (queries, documents).
        """
        total, counted = np.zeros(self.scores.shape[1:]), np.zeros(self.scores.shape[1:], dtype=bool)
        for arm, name in enumerate(self.names):
            if weight := weights.get(name, 0.0):
                total += weight * self.scores[arm]  # in the order of fuse_runs, for a sum of floats depends on it
                counted |= self.listed[arm]
        keys = np.where(np.isnan(total), np.inf, -total)  # what is no number comes last, what no run has behind it
        order = np.where(counted, keys, np.nan).argsort(axis=1, kind="stable")[:, :depth]
        return np.where(np.take_along_axis(counted, order, axis=1), order, -1), total

    def fuse(self, weights: Mapping[str, float], *, depth: int) -> list[ScoredDoc]:
        """The fused run, best first within each query; see :meth:`order`."""
        order, total = self.order(weights, depth=depth)
        return [
            ScoredDoc(query_id, names[column], float(total[row, column]))
            for row, (query_id, names) in enumerate(self.documents.items())
            for column in order[row].tolist()
            if column >= 0
        ]


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
    judged = {name: [item for item in run if item.query_id in relevant] for name, run in runs.items()}
    table = ScaledRuns(judged, method=method)
    gains = np.zeros(table.scores.shape[1:])
    for query_id, columns in zip(table.documents, table.columns, strict=True):
        gains[table.rows[query_id], [columns[doc_id] for doc_id in relevant[query_id] if doc_id in columns]] = 1.0
    discounts = np.array([1 / math.log2(rank + 2) for rank in range(CUTOFF)])
    ideal = np.cumsum(discounts)[np.array([min(len(relevant[query_id]), CUTOFF) - 1 for query_id in table.documents], dtype=int)]
    values = []
    for vector in weights:
        order, _ = table.order(vector, depth=CUTOFF)
        scores = dict(zip(table.documents, (_dcg(gains, order, discounts) / ideal).tolist(), strict=True))
        values.append({query_id: scores.get(query_id, 0.0) for query_id in relevant})
    return values


def _dcg(gains: np.ndarray, order: np.ndarray, discounts: np.ndarray) -> np.ndarray:
    total = np.zeros(len(gains))
    for rank in range(order.shape[1]):
        column = order[:, rank]
        total += np.where(column < 0, 0.0, gains[np.arange(len(gains)), column] * discounts[rank])
    return total
