"""How well scores order the documents of labelled rows: a reranker's dev score, without a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ir_measures import Qrel, ScoredDoc

from tandem.evaluation.measures import per_query

__all__ = ["row_measures", "row_values"]

Row = tuple[str, Sequence[tuple[str, float]]]


def row_values(rows: Sequence[Row], score: Callable[[Sequence[tuple[str, str]]], list[float]]) -> dict[str, list[float]]:
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
            qrels.append(Qrel(str(i), f"{i}-{j}", int(label > 0.5)))
            run.append(ScoredDoc(str(i), f"{i}-{j}", next(scores)))
    values = per_query(qrels, run)
    return {name: list(values[name].values()) for name in ("ndcg_at_10", "mrr_at_10", "map")}


def row_measures(rows: Sequence[Row], score: Callable[[Sequence[tuple[str, str]]], list[float]]) -> dict[str, float]:
    """The means of :func:`row_values`, 0 where there is no row with a relevant document."""
    return {name: sum(own) / max(len(own), 1) for name, own in row_values(rows, score).items()}
