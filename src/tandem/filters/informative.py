"""Which of the kept queries are worth training on: those that the retriever would lose most on, by prediction, exactly, or at random."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from tandem.filters.loss_net import Quality, cross_fit
from tandem.records import PseudoQuery

__all__ = ["Mode", "informative_queries", "mark_selected", "select_ids"]

Mode = Literal["off", "predicted", "exact", "random"]
Losses = Callable[[Sequence[PseudoQuery]], list[float]]
Vectors = Callable[[Sequence[PseudoQuery]], tuple[list[Tensor], list[Tensor]]]
NAME = "selection"


def informative_queries(
    rows: Sequence[PseudoQuery],
    losses: Losses,
    vectors: Vectors,
    *,
    mode: Mode,
    sample: int,
    top_share: float,
    drop_share: float,
    queries_per_document: int | None,
    min_spearman: float,
    seed: int,
    **fitting: Any,
) -> tuple[list[PseudoQuery], dict[str, float]]:
    """Mark the kept rows that are not worth training on as rejected with the reason ``selection``.

    Args:
        rows: with any status; ``kept`` ones are chosen from.
        losses: the retriever's loss on each of some rows.
        vectors: token vectors of the queries and of the documents of some rows.
        mode: ``off`` changes nothing; ``exact`` ranks by the loss itself; ``predicted`` by LossNet's, and by the loss itself, with a
            warning, where LossNet cannot rank; ``random`` keeps as many, drawn by seed.
        sample: rows whose loss is computed for LossNet to learn from, drawn by seed.
        top_share: of the kept rows, those with the highest loss.
        drop_share: of the kept rows, those with the very highest loss, which is mostly noise, are left out before.
        queries_per_document: kept at most; None keeps any number.
        min_spearman: of held-out predictions; below it LossNet cannot rank.
        seed: of everything random.
        fitting: of :func:`tandem.filters.loss_net.cross_fit`.

    Returns:
        All rows, with ``scores["loss"]`` where they have one, and measures: numbers, Spearman and pair accuracy of LossNet.
    """
    kept = [row for row in rows if row.status == "kept"]
    if mode == "off" or not kept:
        return list(rows), {"selected": float(len(kept))}
    measures: dict[str, float] = {}
    values: dict[str, float] = {}
    if mode == "predicted":
        values, quality = _predict(kept, losses, vectors, sample=sample, seed=seed, **fitting)
        measures = {"spearman": quality.spearman, "pair_accuracy": quality.pair_accuracy}
        if quality.spearman < min_spearman:
            warnings.warn(
                f"select_queries: LossNet's held-out Spearman is {quality.spearman:.2f}, below {min_spearman}: exact losses are used",
                stacklevel=2,
            )
            measures["fallback"] = 1.0
            mode = "exact"
    if mode == "exact":
        values = dict(zip((row.query_id for row in kept), losses(kept), strict=True))
    rng = random.Random(f"selection:{seed}")
    ranking = values or {row.query_id: rng.random() for row in kept}
    chosen = select_ids(
        {row.query_id: row.doc_id for row in kept},
        ranking,
        number=max(round(top_share * len(kept)), 1),
        drop=round(drop_share * len(kept)) if values else 0,
        queries_per_document=queries_per_document,
    )
    return mark_selected(rows, chosen, values), {**measures, "selected": float(len(chosen))}


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
    chosen: set[str] = set()
    taken: dict[str, int] = {}
    for query_id in order[drop:]:
        if len(chosen) == number:
            break
        own = documents[query_id]
        if queries_per_document is None or taken.get(own, 0) < queries_per_document:
            chosen.add(query_id)
            taken[own] = taken.get(own, 0) + 1
    return chosen


def mark_selected(rows: Sequence[PseudoQuery], chosen: set[str], values: Mapping[str, float]) -> list[PseudoQuery]:
    """Rows with their loss among the scores, and those that are kept and not chosen as rejected."""
    marked = []
    for row in rows:
        update: dict[str, Any] = {"scores": {**row.scores, "loss": values[row.query_id]}} if row.query_id in values else {}
        if row.status == "kept" and row.query_id not in chosen:
            update |= {"status": "rejected", "reason": NAME}
        marked.append(row.model_copy(update=update) if update else row)
    return marked


def _predict(
    kept: Sequence[PseudoQuery], losses: Losses, vectors: Vectors, *, sample: int, seed: int, **fitting: Any
) -> tuple[dict[str, float], Quality]:
    drawn = set(random.Random(f"sample:{seed}").sample(range(len(kept)), min(sample, len(kept))))
    exact = iter(losses([row for i, row in enumerate(kept) if i in drawn]))
    known = [next(exact) if i in drawn else None for i in range(len(kept))]
    if len(drawn) < 4:
        return {}, Quality(0.0, 0.5)
    predictions, quality = cross_fit(*vectors(kept), known, seed=seed, **fitting)
    return dict(zip((row.query_id for row in kept), predictions, strict=True)), quality
