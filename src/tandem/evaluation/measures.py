"""The measures of a run over all judged queries, through ir_measures; a query without results counts zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import ir_measures
from ir_measures import AP, RR, Qrel, R, ScoredDoc, nDCG
from pydantic import Field

from tandem.runs import rank_results

__all__ = ["LARGEST_CUTOFF", "MEASURES", "MeasureName", "MeasuredDepth", "mean_measures", "measure_runs", "ndcg_at_10", "per_query"]

MeasureName = Literal["ndcg_at_10", "recall_at_10", "recall_at_100", "mrr_at_10", "map"]
MEASURES: dict[str, Any] = {"ndcg_at_10": nDCG @ 10, "recall_at_10": R @ 10, "recall_at_100": R @ 100, "mrr_at_10": RR @ 10, "map": AP}
LARGEST_CUTOFF = max(measure.params.get("cutoff", 0) for measure in MEASURES.values())
MeasuredDepth = Annotated[int, Field(ge=LARGEST_CUTOFF, le=1_000_000)]
"""of a run that is measured: recall@100 of ten results would be the recall of ten"""


def per_query(qrels: Sequence[Qrel], run: Sequence[ScoredDoc]) -> dict[str, dict[str, float]]:
    """Every measure of every judged query: ``{measure: {query_id: value}}``, queries in the order of their ids.

    Only queries with a positive judgement count; one that the run lacks has 0 for every measure.
    """
    judged = sorted({qrel.query_id for qrel in qrels if qrel.relevance > 0})
    values = {name: dict.fromkeys(judged, 0.0) for name in MEASURES}
    names = {str(measure): name for name, measure in MEASURES.items()}
    known = set(judged)
    # Providers break ties in ways of their own, and nDCG is one's, MRR another's: they are given places, which have none.
    ranked = rank_results(item for item in run if item.query_id in known)
    kept = [ScoredDoc(item.query_id, item.doc_id, float(-place)) for items in ranked.values() for place, item in enumerate(items)]
    if kept:
        for metric in ir_measures.iter_calc(list(MEASURES.values()), list(qrels), kept):
            if metric.query_id in known:
                values[names[str(metric.measure)]][metric.query_id] = float(metric.value)
    return values


def mean_measures(values: dict[str, dict[str, float]]) -> dict[str, float]:
    """The mean of each measure over its queries, 0 where there are none."""
    return {name: sum(own.values()) / max(len(own), 1) for name, own in values.items()}


def measure_runs(
    qrels: Sequence[Qrel], runs: Mapping[str, Sequence[ScoredDoc]]
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, dict[str, float]]]:
    """Per-query values and means of several systems, by their names."""
    values = {name: per_query(qrels, run) for name, run in runs.items()}
    return values, {name: mean_measures(own) for name, own in values.items()}


def ndcg_at_10(pairs: Sequence[tuple[str, str]], run: Sequence[ScoredDoc]) -> list[float]:
    """nDCG@10 of each query of (query_id, doc_id) pairs that are all equally relevant: the dev score of training."""
    qrels = [Qrel(query_id, doc_id, 1) for query_id, doc_id in pairs]
    return list(per_query(qrels, run)["ndcg_at_10"].values())
