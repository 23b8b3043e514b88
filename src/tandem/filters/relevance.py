"""Relevance filtering: a query stays if a cross-encoder finds that its document answers it, by a threshold and by a share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tandem.records import PseudoQuery
from tandem.settings import PositiveShare, Settings, Share

__all__ = ["RelevanceSettings", "apply_relevance", "relevance_cut", "write_relevance"]

NAME = "relevance"


class RelevanceSettings(Settings):
    """Which rows a judge's scores keep, after the rules; with neither value nothing is judged."""

    threshold: Share | None = None
    """the least probability"""
    top_share: PositiveShare | None = None
    """of the queries kept so far, the most relevant"""


def write_relevance(
    rows: Sequence[PseudoQuery], texts: Mapping[str, str], judge: Callable[[Sequence[tuple[str, str]]], list[float]]
) -> list[PseudoQuery]:
    """Write the probability of relevance, ``sigmoid(logit)``, into the ``scores`` of the rows that are kept so far; only these are judged.

    Args:
        rows: with any status.
        texts: of the documents, by doc_id.
        judge: (query, document) pairs to logits.
    """
    kept = [row for row in rows if row.status == "kept"]
    logits = dict(zip((row.query_id for row in kept), judge([(row.text, texts[row.doc_id]) for row in kept]), strict=True))
    return [
        row.model_copy(update={"scores": {**row.scores, NAME: _sigmoid(logits[row.query_id])}}) if row.query_id in logits else row
        for row in rows
    ]


def relevance_cut(rows: Sequence[PseudoQuery], *, threshold: float | None, top_share: float | None) -> float:
    """The score that a kept row must reach: the threshold, or that of the last row of the top share, whichever is higher.

    Args:
        rows: from :func:`write_relevance`.
        threshold: a probability; None asks nothing.
        top_share: of the kept rows; None asks nothing.
    """
    scores = sorted((row.scores[NAME] for row in rows if row.status == "kept"), reverse=True)
    cut = threshold if threshold is not None else 0.0
    if top_share is not None and scores:
        cut = max(cut, scores[max(math.ceil(top_share * len(scores)), 1) - 1])
    return cut


def apply_relevance(rows: Sequence[PseudoQuery], cut: float) -> list[PseudoQuery]:
    """Reject kept rows whose score is below the cut."""
    return [
        row.model_copy(update={"status": "rejected", "reason": NAME}) if row.status == "kept" and row.scores[NAME] < cut else row
        for row in rows
    ]


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
