"""A reranker over the first documents of a retriever: what the mixture of both measures on test, and whether it earns its place on dev."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ir_measures import ScoredDoc

from tandem.evaluation.champions import choose_reranker
from tandem.evaluation.collections import Judged
from tandem.evaluation.fusion import below, choose_weight, cross_fit, interpolate
from tandem.evaluation.measures import per_query

__all__ = ["measure_reranked"]

Values = dict[str, dict[str, float]]
Scored = tuple[Sequence[ScoredDoc], Sequence[ScoredDoc], Sequence[ScoredDoc]]
Rescore = Callable[[Sequence[ScoredDoc], Mapping[str, str], Mapping[str, str]], Scored]


def measure_reranked(
    name: str,
    collections: Mapping[str, Judged],
    runs: Mapping[str, Sequence[ScoredDoc]],
    rescore: Rescore | None,
    *,
    measure: str,
    alpha: float,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Values], dict[str, Any]]:
    """Test values of ``NAME+reranker`` and the reranker's meeting with no reranker.

    The weight of the reranker beside the retriever is chosen on dev; for its dev values, on the other half of dev.

    Args:
        name: of the retriever.
        collections: ``test`` and ``dev``.
        runs: of the retriever on both.
        rescore: run, queries and documents to the reranker's scores of the first documents, the retriever's of the same, and its documents
            beyond; None where there is no reranker.
        measure: of the gate.
        alpha: of the gate.
        resamples: of the gate's test.
        seed: of the gate's test.
    """
    if rescore is None:
        return {}, {"champion": "", "decisions": [], "models": {}, "weight": None}
    alone = per_query(collections["dev"].qrels, runs["dev"])
    scored = {key: rescore(runs[key], collections[key].queries, collections[key].documents) for key in ("test", "dev")}
    pairs = [(qrel.query_id, qrel.doc_id) for qrel in collections["dev"].qrels]
    reranked, first, rest = scored["dev"]
    weight = choose_weight(reranked, first, pairs)
    dev = per_query(collections["dev"].qrels, below(cross_fit(reranked, first, pairs), rest))
    reranked, first, rest = scored["test"]
    test = per_query(collections["test"].qrels, below(interpolate(reranked, first, weight), rest))
    rule = {"alpha": alpha, "equal_within": 0.0, "guard_tolerance": 0.0, "resamples": resamples, "seed": seed}
    gate = choose_reranker("relevance", alone[measure], dev[measure], **rule)
    return {f"{name}+reranker": test}, {**gate, "weight": weight}
