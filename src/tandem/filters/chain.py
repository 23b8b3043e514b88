"""A chain of round-trip rules over pseudo queries, and the same chain over real pairs as its sanity check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ir_measures import ScoredDoc
from pydantic import BaseModel, ConfigDict, Field

from tandem.filters.round_trip import apply_rule, apply_shape_rule, document_ranks, funnel
from tandem.records import Document, LabelledPair, PseudoQuery, group_numbers

__all__ = ["Rule", "filter_rows", "keep_rate"]

Search = Callable[[str, Mapping[str, tuple[str, str]]], list[ScoredDoc]]
SHAPE_REASONS = ("empty", "copy", "duplicate", "length")


class Rule(BaseModel):
    """A query stays if its document is among the first ``k`` of the named run."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    run: Literal["bm25", "bm25_sampled", "dense"]
    k: int = Field(ge=1)


def filter_rows(
    rows: Sequence[PseudoQuery],
    corpus: Sequence[Document],
    search: Search,
    *,
    rules: Sequence[Rule],
    minimum_words: int,
    maximum_words: int,
) -> tuple[list[PseudoQuery], list[dict[str, str | int]]]:
    """Apply length and repetition, then every rule in order; every usable row gets every rank, kept or not.

    Args:
        rows: generated queries, some marked as unusable.
        corpus: the documents.
        search: a run by name for (text, own doc_id) by query_id.
        rules: in order.
        minimum_words: of a query.
        maximum_words: of a query.

    Returns:
        All rows with scores, ranks, status and reason, and the funnel.
    """
    groups = group_numbers(corpus)
    rows = apply_shape_rule(rows, minimum_words=minimum_words, maximum_words=maximum_words)
    usable = {row.query_id: (row.text, row.doc_id) for row in rows if row.reason not in ("empty", "copy", "duplicate")}
    targets = {query_id: doc_id for query_id, (_, doc_id) in usable.items()}
    for rule in rules:
        ranks = document_ranks(targets, search(rule.run, usable), groups)
        rows = apply_rule(rows, ranks, name=rule.run, k=rule.k)
    if not rules:
        rows = [row.model_copy(update={"status": "kept"}) if row.status == "generated" else row for row in rows]
    return list(rows), funnel(rows, [*SHAPE_REASONS, *(rule.run for rule in rules)])


def keep_rate(
    pairs: Sequence[LabelledPair],
    corpus: Sequence[Document],
    search: Search,
    *,
    rules: Sequence[Rule],
    minimum_words: int,
    maximum_words: int,
) -> dict[str, float]:
    """What share of real held-out pairs the same chain keeps, in all and after each rule; nothing where there is no pair."""
    if not pairs:
        return {}
    rows = [PseudoQuery(query_id=f"{i}", text=pair.text, doc_id=pair.doc_id) for i, pair in enumerate(pairs)]
    marked, steps = filter_rows(rows, corpus, search, rules=rules, minimum_words=minimum_words, maximum_words=maximum_words)
    rates = {f"real_kept_after_{step['filter']}": int(step["left"]) / len(rows) for step in steps[-len(rules) :]}
    return {"real_keep_rate": sum(row.status == "kept" for row in marked) / len(rows), **(rates if rules else {})}
