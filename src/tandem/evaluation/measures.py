"""The measures that are reported. One more is one more entry of ``MEASURES``, ``LABELS`` and ``MeasureName``, and retrains nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from ir_measures import AP, RR, Measure, Qrel, R, ScoredDoc, nDCG
from pydantic import Field

from tandem.evaluation.calculation import calculate

__all__ = ["LABELS", "LARGEST_CUTOFF", "MEASURES", "MeasureName", "MeasuredDepth", "mean_measures", "measure_runs", "per_query"]

MeasureName = Literal["ndcg_at_10", "recall_at_10", "recall_at_100", "mrr_at_10", "map"]
MEASURES: dict[str, Measure] = {"ndcg_at_10": nDCG @ 10, "recall_at_10": R @ 10, "recall_at_100": R @ 100, "mrr_at_10": RR @ 10, "map": AP}
LABELS = {"ndcg_at_10": "nDCG@10", "recall_at_10": "Recall@10", "recall_at_100": "Recall@100", "mrr_at_10": "MRR@10", "map": "MAP"}
"""as tables and figures print them"""
LARGEST_CUTOFF = max(measure.params.get("cutoff", 0) for measure in MEASURES.values())
MeasuredDepth = Annotated[int, Field(ge=LARGEST_CUTOFF, le=1_000_000)]
"""of a run that is measured: recall@100 of ten results would be the recall of ten"""


def per_query(qrels: Sequence[Qrel], run: Sequence[ScoredDoc]) -> dict[str, dict[str, float]]:
    """Every measure of every judged query, as :func:`tandem.evaluation.calculation.calculate` gives it."""
    return calculate(MEASURES, qrels, run)


def mean_measures(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each measure over its queries, 0 where there are none."""
    return {name: sum(by_query.values()) / max(len(by_query), 1) for name, by_query in values.items()}


def measure_runs(
    qrels: Sequence[Qrel], runs: Mapping[str, Sequence[ScoredDoc]]
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, dict[str, float]]]:
    """Per-query values and means of several systems, by their names."""
    values = {name: per_query(qrels, run) for name, run in runs.items()}
    return values, {name: mean_measures(measured) for name, measured in values.items()}
