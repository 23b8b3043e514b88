"""A chain of rules over pseudo queries, round trips first, then relevance; the same chain over real pairs as its sanity check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from ir_measures import ScoredDoc

from tandem.filters.relevance import apply_relevance, relevance_cut, write_relevance
from tandem.filters.round_trip import apply_rule, apply_shape_rule, document_ranks, funnel
from tandem.formats.texts import texts_of
from tandem.records import Document, LabelledPair, PseudoQuery, group_numbers
from tandem.settings import Depth, Settings

__all__ = ["Rule", "filter_and_rate", "filter_rows", "keep_rate"]

Search = Callable[[str, Mapping[str, tuple[str, str]]], list[ScoredDoc]]
Judge = Callable[[Sequence[tuple[str, str]]], list[float]]
SHAPE_REASONS = ("empty", "no_query", "copy", "duplicate", "length")


class Rule(Settings):
    """A query stays if its document is among the first ``k`` of the named run."""

    run: Literal["bm25", "bm25_sampled", "dense"]
    """bm25: the whole corpus; bm25_sampled: the candidate set of the paper; dense: the filter encoder"""
    k: Depth
    """ranks in which the document has to be"""


def filter_rows(
    rows: Sequence[PseudoQuery],
    corpus: Sequence[Document],
    search: Search,
    *,
    rules: Sequence[Rule],
    min_words: int,
    max_words: int,
    judge: Judge | None = None,
    threshold: float | None = None,
    top_share: float | None = None,
) -> tuple[list[PseudoQuery], list[dict[str, str | int]], float]:
    """Apply length and repetition, then every rule in order, then relevance; every usable row gets every rank, kept or not.

    Args:
        rows: generated queries, some marked as unusable.
        corpus: the documents.
        search: a run by name for (text, doc_id of the source document) by query_id.
        rules: in order.
        min_words: of a query.
        max_words: of a query.
        judge: (query, document) pairs to logits; it sees the rows that the rules keep. None leaves relevance out.
        threshold: of relevance; see :func:`tandem.filters.relevance.relevance_cut`.
        top_share: of relevance; see there.

    Returns:
        All rows with scores, ranks, status and reason, the funnel, and the relevance that a row had to reach.
    """
    groups = group_numbers(corpus)
    rows = apply_shape_rule(rows, min_words=min_words, max_words=max_words)
    usable = {row.query_id: (row.text, row.doc_id) for row in rows if row.reason not in ("empty", "no_query", "copy", "duplicate")}
    targets = {query_id: doc_id for query_id, (_, doc_id) in usable.items()}
    for rule in rules:
        ranks = document_ranks(targets, search(rule.run, usable), groups)
        rows = apply_rule(rows, ranks, name=rule.run, k=rule.k)
    if not rules:
        rows = [row.model_copy(update={"status": "kept"}) if row.status == "generated" else row for row in rows]
    cut = 0.0
    if judge is not None:
        rows = write_relevance(rows, texts_of(corpus), judge)
        cut = relevance_cut(rows, threshold=threshold, top_share=top_share)
        rows = apply_relevance(rows, cut)
    names = [*SHAPE_REASONS, *(rule.run for rule in rules), *([] if judge is None else ["relevance"])]
    return list(rows), funnel(rows, names), cut


def filter_and_rate(
    rows: Sequence[PseudoQuery],
    pairs: Sequence[LabelledPair],
    corpus: Sequence[Document],
    search: Search,
    *,
    judge: Judge | None,
    threshold: float | None,
    top_share: float | None,
    **settings: Any,
) -> tuple[list[PseudoQuery], list[dict[str, str | int]], dict[str, float]]:
    """:func:`filter_rows` on generated queries and :func:`keep_rate` on real pairs: the rows, the funnel and all rates."""
    marked, steps, cut = filter_rows(rows, corpus, search, judge=judge, threshold=threshold, top_share=top_share, **settings)
    real = keep_rate(pairs, corpus, search, judge=judge, cut=cut, **settings)
    kept = sum(row.status == "kept" for row in marked)
    rates = {"generated": float(len(marked)), "kept": float(kept), "keep_rate": kept / max(len(marked), 1)}
    return marked, steps, {**rates, **({} if judge is None else {"relevance_cut": cut}), **real}


def keep_rate(
    pairs: Sequence[LabelledPair],
    corpus: Sequence[Document],
    search: Search,
    *,
    rules: Sequence[Rule],
    min_words: int,
    max_words: int,
    judge: Judge | None = None,
    cut: float = 0.0,
) -> dict[str, float]:
    """What share of real held-out pairs the same chain keeps, in all and after each rule; nothing where there is no pair.

    ``cut`` is what :func:`filter_rows` returned, so that a share of generated queries is asked of real ones as the threshold it was.
    """
    if not pairs:
        return {}
    rows = [PseudoQuery(query_id=f"pair:{i}", text=pair.text, doc_id=pair.doc_id) for i, pair in enumerate(pairs)]
    asked = {row.query_id: pair.query_id for row, pair in zip(rows, pairs, strict=True)}

    def search_others(run: str, queries: Mapping[str, tuple[str, str]]) -> list[ScoredDoc]:
        """Without the document that has the query's id, which its row does not have."""
        return [item for item in search(run, queries) if item.doc_id != asked[item.query_id]]

    words = {"min_words": min_words, "max_words": max_words}
    marked, steps, _ = filter_rows(rows, corpus, search_others, rules=rules, **words, judge=judge, threshold=cut)
    rates = {f"real_kept_after_{step['filter']}": int(step["left"]) / len(rows) for step in steps[1 + len(SHAPE_REASONS) :]}
    return {"real_keep_rate": sum(row.status == "kept" for row in marked) / len(rows), **rates}
