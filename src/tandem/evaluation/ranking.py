"""How well a reranker orders the documents of labelled rows: its dev score, which needs no corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ir_measures import AP, RR, Measure, Qrel, ScoredDoc, nDCG

from tandem.evaluation.calculation import calculate

__all__ = ["row_measures", "row_values"]

Row = tuple[str, Sequence[tuple[str, float]]]
ScorePairs = Callable[[Sequence[tuple[str, str]]], list[float]]
# Not those of tandem.evaluation.measures: a reranker's checkpoint is chosen by them, and one more reported measure retrains nothing.
MEASURES: dict[str, Measure] = {"ndcg_at_10": nDCG @ 10, "mrr_at_10": RR @ 10, "map": AP}
RELEVANT_ABOVE = 0.5


def row_values(rows: Sequence[Row], score: ScorePairs) -> dict[str, list[float]]:
    """nDCG@10, MRR@10 and MAP of a scorer for each row, with the row's documents as candidates.

    Args:
        rows: (query, documents with labels from 0 to 1); a label above a half is relevant.
        score: (query, document) pairs to scores.

    Returns:
        Values of the rows that have a relevant document.
    """
    pairs = [(query, text) for query, documents in rows for text, _ in documents]
    scores = iter(score(pairs))
    qrels, run = [], []
    for i, (_, documents) in enumerate(rows):
        for j, (_, label) in enumerate(documents):
            qrels.append(Qrel(str(i), f"{i}-{j}", int(label > RELEVANT_ABOVE)))
            run.append(ScoredDoc(str(i), f"{i}-{j}", next(scores)))
    return {name: list(by_row.values()) for name, by_row in calculate(MEASURES, qrels, run).items()}


def row_measures(rows: Sequence[Row], score: ScorePairs) -> dict[str, float]:
    """The means of :func:`row_values`, 0 where there is no row with a relevant document."""
    return {name: sum(values) / max(len(values), 1) for name, values in row_values(rows, score).items()}
