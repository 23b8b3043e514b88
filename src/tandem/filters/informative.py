"""Select the kept queries with the highest training loss under the retriever: by prediction, exactly, or as many at random."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from pydantic import Field
from torch import Tensor

from tandem.filters.loss_net import FOLDS, LossNetSettings, Quality, cross_fit
from tandem.records import PseudoQuery
from tandem.settings import Count, OpenShare, PositiveShare

__all__ = ["SelectionSettings", "TrainingLoss", "informative_queries", "mark_selected", "select_ids"]

NAME = "selection"


class TrainingLoss(Protocol):
    """What a retriever loses on queries, and what it makes of them."""

    def losses(self, rows: Sequence[PseudoQuery]) -> list[float]:
        """The loss of each row."""
        ...

    def vectors(self, rows: Sequence[PseudoQuery]) -> tuple[list[Tensor], list[Tensor]]:
        """Token vectors (tokens, dimensions) of each row's query, and of its document."""
        ...


class SelectionSettings(LossNetSettings):
    """How many of the kept queries are selected, and by what."""

    mode: Literal["off", "predicted", "exact", "random"]
    """off (all of them), predicted (LossNet), exact (the loss itself) or random (as many, drawn by seed)"""
    top_share: PositiveShare
    """of the kept queries, those with the highest loss"""
    drop_share: OpenShare
    """of the kept queries, those with the very highest loss, which is mostly noise, are left out before"""
    queries_per_document: Count | None
    """selected at most; null for any number"""
    sample: Count
    """queries whose loss LossNet learns from, drawn by seed"""
    min_spearman: float = Field(ge=-1, le=1, allow_inf_nan=False)
    """of LossNet on held-out queries; below it exact losses take its place, with a warning"""

    @property
    def needs_losses(self) -> bool:
        """Whether the mode asks for losses at all, and so for a retriever."""
        return self.mode in ("predicted", "exact")


def informative_queries(
    rows: Sequence[PseudoQuery], loss: TrainingLoss | None, settings: SelectionSettings, *, seed: int
) -> tuple[list[PseudoQuery], dict[str, float]]:
    """Mark the kept rows that are not selected as rejected with the reason ``selection``.

    Args:
        rows: with any status; ``kept`` ones are chosen from.
        loss: of the retriever; None where the mode needs none.
        settings: how many, and by what.
        seed: of everything random.

    Returns:
        All rows, with ``scores["loss"]`` where they have one, and measures: numbers, Spearman and pair accuracy of LossNet.
    """
    kept = [row for row in rows if row.status == "kept"]
    if settings.mode == "off" or not kept:
        return list(rows), {"selected": float(len(kept))}
    values, measures = ({}, {}) if settings.mode == "random" else _rate(kept, loss, settings, seed=seed)
    rng = random.Random(f"selection:{seed}")
    selected = select_ids(
        {row.query_id: row.doc_id for row in kept},
        values or {row.query_id: rng.random() for row in kept},
        number=max(round(settings.top_share * len(kept)), 1),
        drop=round(settings.drop_share * len(kept)) if values else 0,
        queries_per_document=settings.queries_per_document,
    )
    return mark_selected(rows, selected, values), {**measures, "selected": float(len(selected))}


def select_ids(
    documents: Mapping[str, str], values: Mapping[str, float], *, number: int, drop: int, queries_per_document: int | None
) -> set[str]:
    """The query_ids with the highest values, after the first ``drop``, at most so many of a document; ties go to the smaller id.

    Args:
        documents: doc_id by query_id.
        values: by query_id.
        number: to select at most.
        drop: of the highest to leave out.
        queries_per_document: at most; None for any number.
    """
    order = sorted(documents, key=lambda query_id: (-values[query_id], query_id))
    selected: set[str] = set()
    by_document: dict[str, int] = {}
    for query_id in order[drop:]:
        if len(selected) == number:
            break
        doc_id = documents[query_id]
        if queries_per_document is None or by_document.get(doc_id, 0) < queries_per_document:
            selected.add(query_id)
            by_document[doc_id] = by_document.get(doc_id, 0) + 1
    return selected


def mark_selected(rows: Sequence[PseudoQuery], selected: set[str], values: Mapping[str, float]) -> list[PseudoQuery]:
    """Rows with their loss among the scores, and those that are kept and not selected as rejected."""
    marked = []
    for row in rows:
        update: dict[str, Any] = {"scores": {**row.scores, "loss": values[row.query_id]}} if row.query_id in values else {}
        if row.status == "kept" and row.query_id not in selected:
            update |= {"status": "rejected", "reason": NAME}
        marked.append(row.model_copy(update=update) if update else row)
    return marked


def _rate(
    kept: Sequence[PseudoQuery], loss: TrainingLoss | None, settings: SelectionSettings, *, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """The loss of each row by query_id, predicted or exact; and how well LossNet ranks."""
    if loss is None:
        raise ValueError(f"mode: {settings.mode} found, which needs the loss of a retriever")
    measures: dict[str, float] = {}
    if settings.mode == "predicted":
        predictions, quality = _predict(kept, loss, settings, seed=seed)
        measures = {"spearman": quality.spearman, "pair_accuracy": quality.pair_accuracy}
        if quality.spearman >= settings.min_spearman:
            return predictions, measures
        warnings.warn(
            f"LossNet's held-out Spearman is {quality.spearman:.2f}, below min_spearman, {settings.min_spearman}: exact losses are used",
            stacklevel=3,
        )
        measures["fallback"] = 1.0
    return dict(zip((row.query_id for row in kept), loss.losses(kept), strict=True)), measures


def _predict(
    kept: Sequence[PseudoQuery], loss: TrainingLoss, settings: SelectionSettings, *, seed: int
) -> tuple[dict[str, float], Quality]:
    """LossNet's prediction for each row by query_id; nothing, of no quality, where too few losses are known."""
    drawn = set(random.Random(f"sample:{seed}").sample(range(len(kept)), min(settings.sample, len(kept))))
    exact = iter(loss.losses([row for i, row in enumerate(kept) if i in drawn]))
    known = [next(exact) if i in drawn else None for i in range(len(kept))]
    if len(drawn) < 2 * FOLDS:
        return {}, Quality(0.0, 0.5)
    predictions, quality = cross_fit(*loss.vectors(kept), known, settings, seed=seed)
    return dict(zip((row.query_id for row in kept), predictions, strict=True)), quality
