"""A reranker's scores mixed with those of the run that it rescored; the weight is chosen on dev queries, never on test ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from ir_measures import ScoredDoc

from tandem.evaluation.fusion import Runs, cross_fit_halves
from tandem.evaluation.weight_grid import grid_scores
from tandem.runs import fuse_runs

__all__ = ["choose_weight", "cross_fit", "interpolate"]

WEIGHTS = tuple(i / 20 for i in range(21))


def interpolate(first: Sequence[ScoredDoc], second: Sequence[ScoredDoc], weight: float) -> list[ScoredDoc]:
    """``weight * first + (1 - weight) * second``, each scaled to 0 to 1 within a query (min-max).

    Args:
        first: a run.
        second: a run of the same queries; a document that one of the two lacks has 0 there.
        weight: of the first, 0 to 1.
    """
    return fuse_runs({"first": first, "second": second}, {"first": weight, "second": 1 - weight}, method="min_max")


def choose_weight(first: Sequence[ScoredDoc], second: Sequence[ScoredDoc], pairs: Sequence[tuple[str, str]]) -> float:
    """The weight, in steps of .05, with the highest mean nDCG@10; of equal ones that nearest to a half.

    Args:
        first: a run of dev queries.
        second: another.
        pairs: (query_id, doc_id) of what is relevant; where there is none, the weight is a half.
    """
    return _best(_dev_scores(first, second, pairs), {query_id for query_id, _ in pairs})


def _dev_scores(first: Sequence[ScoredDoc], second: Sequence[ScoredDoc], pairs: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
    """Of each of ``WEIGHTS``, the dev score of each query."""
    vectors = [{"first": weight, "second": 1 - weight} for weight in WEIGHTS]
    return grid_scores({"first": first, "second": second}, pairs, vectors, method="min_max")


def _best(scores: Sequence[Mapping[str, float]], query_ids: Collection[str]) -> float:
    totals = [round(sum(score for query_id, score in by_query.items() if query_id in query_ids), 9) for by_query in scores]
    return max(zip(totals, WEIGHTS, strict=True), key=lambda place: (place[0], -abs(place[1] - 0.5)))[1]


def cross_fit(first: Sequence[ScoredDoc], second: Sequence[ScoredDoc], pairs: Sequence[tuple[str, str]]) -> list[ScoredDoc]:
    """The two runs mixed, each half of the queries with the weight that is best on the other half.

    Dev values of a mixture whose weight the same dev queries chose would flatter it.

    Args:
        first: a run of dev queries.
        second: another.
        pairs: (query_id, doc_id) of what is relevant.
    """

    def mix(runs: Runs, weight: float) -> list[ScoredDoc]:
        return interpolate(runs["first"], runs["second"], weight)

    scores = _dev_scores(first, second, pairs)
    return cross_fit_halves({"first": first, "second": second}, pairs, partial(_best, scores), mix)
