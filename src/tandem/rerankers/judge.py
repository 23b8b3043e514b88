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
from tandem.settings import BatchSize, SettingError, Settings, errors_about

__all__ = ["Judge", "JudgeSettings", "load_judge", "rerank"]

Judge = Callable[[Sequence[tuple[str, str]]], list[float]]
"""(query, document) pairs to logits."""


class JudgeSettings(Settings):
    """Who scores (query, document) pairs: for the filter, the screen of hard negatives and the teacher of the retriever."""

    scorer: Literal["trained", "reranker", "monot5"]
    """trained (rerankers.relevance, from the labelled pairs), reranker or monot5"""
    model: str | None
    """of reranker and monot5: Hugging Face id or folder"""
    form: PairFormat | None
    """of reranker: how it reads pairs, where its folder does not say"""
    batch_size: BatchSize
    """pairs at once"""


def load_judge(settings: JudgeSettings, trained: Path, *, device: str = "cpu", bf16: bool = False) -> Judge | None:
    """A function that scores pairs; None, with a warning, where ``trained`` stands for a model that had no pairs to learn from.

    Args:
        settings: of the judge.
        trained: folder of the weights that the scorer ``trained`` stands for.
        device: to run on.
        bf16: score under bfloat16 autocast.

    Raises:
        SettingError: a scorer other than ``trained`` has no model.
        ValueError: its model lacks weights: nobody would train it.
    """
    if settings.scorer == "trained" and (trained / UNTRAINED).exists():
        warnings.warn(f"{trained}: there were no labelled pairs to train it on; nothing is judged by it", stacklevel=2)
        return None
    with errors_about(settings):
        scorer = _load_scorer(settings, trained, device=device, bf16=bf16)
    return partial(scorer.compute_score, batch_size=settings.batch_size)


def _load_scorer(settings: JudgeSettings, trained: Path, *, device: str, bf16: bool) -> Reranker | MonoT5:
    if settings.scorer == "trained":
        return Reranker(str(trained), device=device, bf16=bf16)
    if settings.model is None:
        raise SettingError("model", f"null found, a folder or Hugging Face id is needed with scorer: {settings.scorer}")
    if settings.scorer == "monot5":
        return MonoT5(settings.model, device=device, bf16=bf16)
    return Reranker(settings.model, settings.form, device=device, bf16=bf16)


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
    first = [item for items in ordered for item in items[:depth]]
    rest = [item for items in ordered for item in items[depth:]]
    scores = judge([(queries[item.query_id], documents[item.doc_id]) for item in first]) if first else []
    return [ScoredDoc(item.query_id, item.doc_id, score) for item, score in zip(first, scores, strict=True)], first, rest
