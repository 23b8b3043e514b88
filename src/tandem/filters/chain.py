"""A chain of rules over pseudo queries, round trips first, then relevance; the same chain over real pairs as its sanity check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Self

from ir_measures import ScoredDoc
from pydantic import model_validator

from tandem.filters.relevance import RelevanceSettings, apply_relevance, relevance_cut, write_relevance
from tandem.filters.round_trip import apply_rule, apply_shape_rule, document_ranks, funnel
from tandem.formats.corpus import Corpus
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.settings import Count, CountOrZero, Depth, Settings

__all__ = ["ChainSettings", "FilterSettings", "Rule", "filter_and_rate", "filter_rows", "keep_rate"]

Search = Callable[[str, Mapping[str, tuple[str, str]]], list[ScoredDoc]]
Judge = Callable[[Sequence[tuple[str, str]]], list[float]]
ALL_RELEVANT = RelevanceSettings()
SHAPE_REASONS = ("empty", "no_query", "copy", "duplicate", "length")


class Rule(Settings):
    """A query stays if its document is among the first ``k`` of the named run."""

    run: Literal["bm25", "bm25_sampled", "dense"]
    """bm25: the whole corpus; bm25_sampled: the candidate set of the paper; dense: the filter encoder"""
    k: Depth
    """ranks in which the document has to be"""


class ChainSettings(Settings):
    """What a query has to pass, in order; a row is rejected by the first that it fails, and gets every rank all the same."""

    rules: list[Rule]
    """round trips, in order"""
    min_words: CountOrZero
    """of a query"""
    max_words: Count
    """of a query"""


class FilterSettings(ChainSettings):
    """A chain, and the runs that its rules look into."""

    depth: Depth
    """of a run; no rule may look beyond it"""
    candidates: CountOrZero
    """of bm25_sampled: other documents a query"""

    @model_validator(mode="after")
    def _no_rule_beyond_its_run(self) -> Self:
        for i, rule in enumerate(self.rules):
            limit, key = (self.candidates + 1, "candidates + 1") if rule.run == "bm25_sampled" else (self.depth, "depth")
            if rule.k > limit:
                raise ValueError(f"rules.{i}.k: {rule.k} found, which the run does not reach; at most {key}, {limit}, is allowed")
        return self


def filter_rows(
    rows: Sequence[PseudoQuery],
    corpus: Sequence[Document],
    search: Search,
    settings: ChainSettings,
    *,
    judge: Judge | None = None,
    relevance: RelevanceSettings = ALL_RELEVANT,
) -> tuple[list[PseudoQuery], list[dict[str, str | int]], float]:
    """Apply length and repetition, then every rule in order, then relevance; every usable row gets every rank, kept or not.

    Args:
        rows: generated queries, some marked as unusable.
        corpus: the documents.
        search: a run by name for (text, doc_id of the source document) by query_id.
        settings: of the chain.
        judge: (query, document) pairs to logits; it sees the rows that the rules keep. None leaves relevance out.
        relevance: what the judge's scores keep.

    Returns:
        All rows with scores, ranks, status and reason, the funnel, and the relevance that a row had to reach.
    """
    groups = Corpus.of(corpus).groups
    rows = apply_shape_rule(rows, min_words=settings.min_words, max_words=settings.max_words)
    usable = {row.query_id: (row.text, row.doc_id) for row in rows if row.reason not in ("empty", "no_query", "copy", "duplicate")}
    targets = {query_id: doc_id for query_id, (_, doc_id) in usable.items()}
    for rule in settings.rules:
        ranks = document_ranks(targets, search(rule.run, usable), groups)
        rows = apply_rule(rows, ranks, name=rule.run, k=rule.k)
    if not settings.rules:
        rows = [row.model_copy(update={"status": "kept"}) if row.status == "generated" else row for row in rows]
    cut = 0.0
    if judge is not None:
        rows = write_relevance(rows, Corpus.of(corpus).texts, judge)
        cut = relevance_cut(rows, threshold=relevance.threshold, top_share=relevance.top_share)
        rows = apply_relevance(rows, cut)
    names = [*SHAPE_REASONS, *(rule.run for rule in settings.rules), *([] if judge is None else ["relevance"])]
    return list(rows), funnel(rows, names), cut


def filter_and_rate(
    rows: Sequence[PseudoQuery],
    pairs: Sequence[LabelledPair],
    corpus: Sequence[Document],
    search: Search,
    settings: ChainSettings,
    *,
    judge: Judge | None,
    relevance: RelevanceSettings,
) -> tuple[list[PseudoQuery], list[dict[str, str | int]], dict[str, float]]:
    """:func:`filter_rows` on generated queries and :func:`keep_rate` on real pairs: the rows, the funnel and all rates."""
    marked, steps, cut = filter_rows(rows, corpus, search, settings, judge=judge, relevance=relevance)
    real = keep_rate(pairs, corpus, search, settings, judge=judge, cut=cut)
    kept = sum(row.status == "kept" for row in marked)
    rates = {"generated": float(len(marked)), "kept": float(kept), "keep_rate": kept / max(len(marked), 1)}
    return marked, steps, {**rates, **({} if judge is None else {"relevance_cut": cut}), **real}


def keep_rate(
    pairs: Sequence[LabelledPair],
    corpus: Sequence[Document],
    search: Search,
    settings: ChainSettings,
    *,
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

    marked, steps, _ = filter_rows(rows, corpus, search_others, settings, judge=judge, relevance=RelevanceSettings(threshold=cut))
    rates = {f"real_kept_after_{step['filter']}": int(step["left"]) / len(rows) for step in steps[1 + len(SHAPE_REASONS) :]}
    return {"real_keep_rate": sum(row.status == "kept" for row in marked) / len(rows), **rates}
