"""Who says whether a document answers a query: the reranker trained here, any other, or MonoT5."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from ir_measures import ScoredDoc

from tandem.rerankers.monot5 import MonoT5
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import UNTRAINED, Reranker
from tandem.runs import rank_results, without_own

__all__ = ["Judge", "JudgeName", "load_judge", "rerank"]

Judge = Callable[[Sequence[tuple[str, str]]], list[float]]
"""(query, document) pairs to logits."""
JudgeName = Literal["trained", "reranker", "monot5"]


def load_judge(
    scorer: JudgeName,
    trained: Path,
    *,
    model: str | None = None,
    form: PairFormat | None = None,
    batch_size: int = 32,
    device: str = "cpu",
    bf16: bool = False,
) -> Judge | None:
    """A function that scores pairs; None, with a warning, where ``trained`` stands for a model that had no pairs to learn from.

    Args:
        scorer: ``trained``, ``reranker`` or ``monot5``.
        trained: folder of the weights that ``trained`` stands for.
        model: folder or Hugging Face id that the other two load.
        form: how a reranker reads pairs, where its folder does not say.
        batch_size: pairs at once.
        device: to run on.
        bf16: score under bfloat16 autocast.

    Raises:
        ValueError: a scorer other than ``trained`` has no model, or one that lacks weights: nobody would train it.
    """
    if scorer == "trained" and (trained / UNTRAINED).exists():
        warnings.warn(f"{trained}: there were no labelled pairs to train it on; nothing is judged by it", stacklevel=2)
        return None
    if scorer == "trained":
        return partial(Reranker(str(trained), device=device, bf16=bf16).compute_score, batch_size=batch_size)
    if model is None:
        raise ValueError(f"relevance.model: null found, a folder or Hugging Face id is needed with relevance.scorer: {scorer}")
    if scorer == "monot5":
        return partial(MonoT5(model, device=device, bf16=bf16).compute_score, batch_size=batch_size)
    return partial(Reranker(model, form, keys="relevance.", device=device, bf16=bf16).compute_score, batch_size=batch_size)


def rerank(
    judge: Judge, run: Sequence[ScoredDoc], queries: Mapping[str, str], documents: Mapping[str, str], *, depth: int
) -> tuple[list[ScoredDoc], list[ScoredDoc], list[ScoredDoc]]:
    """The first documents of each query with the judge's scores; the same as the run had them; and the run's documents beyond.

    Args:
        judge: from :func:`load_judge`.
        run: of a retriever.
        queries: text by query_id.
        documents: text by doc_id.
        depth: documents a query.
    """
    ordered = list(rank_results(without_own(run, depth=len(run))).values())
    first, rest = ([item for own in ordered for item in own[part]] for part in (slice(depth), slice(depth, None)))
    scores = judge([(queries[item.query_id], documents[item.doc_id]) for item in first]) if first else []
    return [ScoredDoc(item.query_id, item.doc_id, score) for item, score in zip(first, scores, strict=True)], first, rest
