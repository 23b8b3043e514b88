"""Values of measures for each judged query of a run, through ir_measures: what dev scores and reported measures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ir_measures
from ir_measures import Measure, Qrel, ScoredDoc

from tandem.runs import rank_results

__all__ = ["calculate"]


def calculate(measures: Mapping[str, Measure], qrels: Sequence[Qrel], run: Sequence[ScoredDoc]) -> dict[str, dict[str, float]]:
    """The value of every measure for every judged query.

    Only queries with a positive judgement count; one that the run lacks has 0 for every measure.

    Args:
        measures: of ir_measures, by the name that the result has them under.
        qrels: judgements.
        run: results in any order; equal scores are ordered as in :func:`tandem.runs.rank_results`.

    Returns:
        ``{measure: {query_id: value}}``, queries in the order of their ids.
    """
    judged = sorted({qrel.query_id for qrel in qrels if qrel.relevance > 0})
    values = {name: dict.fromkeys(judged, 0.0) for name in measures}
    names = {str(measure): name for name, measure in measures.items()}
    known = set(judged)
    # ir_measures' providers break ties differently, and nDCG comes from one, MRR from another: ranks as scores leave them no ties.
    ranked = rank_results(item for item in run if item.query_id in known)
    untied = [ScoredDoc(item.query_id, item.doc_id, float(-rank)) for items in ranked.values() for rank, item in enumerate(items)]
    if untied:
        for metric in ir_measures.iter_calc(list(measures.values()), list(qrels), untied):
            if metric.query_id in known:
                values[names[str(metric.measure)]][metric.query_id] = float(metric.value)
    return values
