"""The dev score: the one number that chooses checkpoints and weights. Apart from reported measures, so that these retrain nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ir_measures import Qrel, ScoredDoc, nDCG

from tandem.evaluation.calculation import calculate

__all__ = ["ndcg_at_10"]


def ndcg_at_10(pairs: Sequence[tuple[str, str]], run: Sequence[ScoredDoc]) -> list[float]:
    """nDCG@10 of each query, in the order of their ids.

    Args:
        pairs: (query_id, doc_id) of what is relevant, all equally.
        run: results of these queries; a query without results has 0.
    """
    qrels = [Qrel(query_id, doc_id, 1) for query_id, doc_id in pairs]
    return list(calculate({"ndcg_at_10": nDCG @ 10}, qrels, run)["ndcg_at_10"].values())
