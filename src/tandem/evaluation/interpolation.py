"""A reranker's scores mixed with those of the run that it rescored; the weight is chosen on dev queries, never on test ones."""

from __future__ import annotations

from collections.abc import Sequence

from ir_measures import ScoredDoc

from tandem.evaluation.dev_score import ndcg_at_10

__all__ = ["below", "choose_weight", "cross_fit", "interpolate"]

WEIGHTS = tuple(i / 20 for i in range(21))


def interpolate(first: Sequence[ScoredDoc], second: Sequence[ScoredDoc], weight: float) -> list[ScoredDoc]:
    """``weight * first + (1 - weight) * second``, each scaled to 0 to 1 within a query (min-max).

    Args:
        first: a run.
        second: a run of the same queries; a document that one of the two lacks has 0 there.
        weight: of the first, 0 to 1.
    """
    mixed: dict[tuple[str, str], float] = {}
    for run, share in ((first, weight), (second, 1 - weight)):
        for (query_id, doc_id), score in _scaled(run).items():
            mixed[query_id, doc_id] = mixed.get((query_id, doc_id), 0.0) + share * score
    return [ScoredDoc(query_id, doc_id, score) for (query_id, doc_id), score in mixed.items()]


def choose_weight(first: Sequence[ScoredDoc], second: Sequence[ScoredDoc], pairs: Sequence[tuple[str, str]]) -> float:
    """The weight, in steps of .05, with the highest mean nDCG@10; of equal ones that nearest to a half.

    Args:
        first: a run of dev queries.
        second: another.
        pairs: (query_id, doc_id) of what is relevant; where there is none, the weight is a half.
    """
    values = {weight: ndcg_at_10(pairs, interpolate(first, second, weight)) for weight in WEIGHTS} if pairs else {0.5: []}
    return max(values, key=lambda weight: (round(sum(values[weight]), 9), -abs(weight - 0.5)))


def below(mixed: Sequence[ScoredDoc], rest: Sequence[ScoredDoc]) -> list[ScoredDoc]:
    """A mixture, whose scores are 0 to 1, with the documents that it left out below it, in the order of the scores that they have."""
    scaled = _scaled(rest)
    return [*mixed, *(ScoredDoc(item.query_id, item.doc_id, scaled[item.query_id, item.doc_id] - 2) for item in rest)]


def cross_fit(first: Sequence[ScoredDoc], second: Sequence[ScoredDoc], pairs: Sequence[tuple[str, str]]) -> list[ScoredDoc]:
    """The two runs mixed, each half of the queries with the weight that is best on the other half.

    Dev values of a mixture whose weight the same dev queries chose would flatter it.

    Args:
        first: a run of dev queries.
        second: another.
        pairs: (query_id, doc_id) of what is relevant.
    """
    mixed: list[ScoredDoc] = []
    ids = sorted({query_id for query_id, _ in pairs})
    halves = set(ids[::2]), set(ids[1::2])
    for half, other in (halves, halves[::-1]):
        weight = choose_weight(_of(first, other), _of(second, other), [pair for pair in pairs if pair[0] in other])
        mixed += interpolate(_of(first, half), _of(second, half), weight)
    return mixed


def _of(run: Sequence[ScoredDoc], queries: set[str]) -> list[ScoredDoc]:
    return [item for item in run if item.query_id in queries]


def _scaled(run: Sequence[ScoredDoc]) -> dict[tuple[str, str], float]:
    by_query: dict[str, list[float]] = {}
    for item in run:
        by_query.setdefault(item.query_id, []).append(item.score)
    bounds = {query_id: (min(scores), max(scores)) for query_id, scores in by_query.items()}
    scaled = {}
    for item in run:
        low, high = bounds[item.query_id]
        scaled[item.query_id, item.doc_id] = (item.score - low) / (high - low) if high > low else 1.0
    return scaled
