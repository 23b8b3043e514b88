"""Rows for rerankers from a corpus: relevant documents and mined negatives, titles as queries that need no label."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

from pydantic import model_validator

from tandem.records import Document, LabelledPair, PseudoQuery, RankingRow
from tandem.settings import CountOrZero, Settings
from tandem.text import normalize_query

__all__ = ["QuerySettings", "build_rows", "choose_queries", "queries_of", "relevant_of", "title_pairs"]


class QuerySettings(Settings):
    """Which queries a reranker learns from."""

    queries: Literal["off", "labelled", "kept", "both"]
    """labelled pairs, kept generated queries, or both; off trains nothing"""
    round: str
    """whose kept queries; r0 has none"""
    kept_queries: CountOrZero
    """of them at most, drawn by seed"""

    @model_validator(mode="after")
    def _kept_need_a_round(self) -> Self:
        if self.queries in ("kept", "both") and self.round == "r0":
            raise ValueError(f"round: 'r0' found, which has no kept queries; queries: {self.queries} needs another round, such as r1")
        return self


def queries_of(pairs: Iterable[LabelledPair]) -> dict[str, str]:
    """Query text by query_id."""
    return {pair.query_id: pair.text for pair in pairs}


def relevant_of(pairs: Iterable[LabelledPair]) -> dict[str, set[str]]:
    """The doc_ids judged relevant, by query_id."""
    relevant: dict[str, set[str]] = {}
    for pair in pairs:
        relevant.setdefault(pair.query_id, set()).add(pair.doc_id)
    return relevant


def choose_queries(
    labelled: Sequence[LabelledPair], generated: Sequence[PseudoQuery], dev: Sequence[LabelledPair], settings: QuerySettings, *, seed: int
) -> list[LabelledPair]:
    """The pairs that a reranker is trained on, all pairs of a query text under one id; none of a text that is a dev query.

    Args:
        labelled: training pairs.
        generated: rows of a round; only kept ones are used.
        dev: pairs that choose the checkpoint.
        settings: which of them.
        seed: of the draw.
    """
    pairs = [pair for pair in labelled if pair.relevance > 0] if settings.queries in ("labelled", "both") else []
    if settings.queries in ("kept", "both"):
        kept = [row for row in generated if row.status == "kept"]
        drawn = random.Random(f"kept queries:{seed}").sample(kept, min(settings.kept_queries, len(kept)))
        pairs += [LabelledPair(query_id=row.query_id, text=row.text, doc_id=row.doc_id) for row in drawn]
    left_out = {normalize_query(pair.text) for pair in dev}
    first: dict[str, str] = {}
    for pair in pairs:
        first.setdefault(normalize_query(pair.text), pair.query_id)
    return [pair.model_copy(update={"query_id": first[key]}) for pair in pairs if (key := normalize_query(pair.text)) not in left_out]


def build_rows(pairs: Sequence[LabelledPair], negatives: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> list[RankingRow]:
    """One row a query: its relevant documents and its negatives, by their texts; empty texts are left out.

    Args:
        pairs: labelled.
        negatives: doc_ids by query_id.
        texts: by doc_id.
    """
    queries = queries_of(pairs)
    rows = []
    for query_id, relevant in relevant_of(pairs).items():
        pos = list(dict.fromkeys(text for doc_id in sorted(relevant) if (text := texts[doc_id])))
        neg = list(dict.fromkeys(text for doc_id in negatives.get(query_id, ()) if (text := texts[doc_id]) and text not in pos))
        if pos:
            rows.append(RankingRow(query=queries[query_id], pos=pos, neg=neg))
    return rows


def title_pairs(corpus: Iterable[Document], known: Iterable[LabelledPair], *, number: int, seed: int) -> list[LabelledPair]:
    """Titles of documents as queries, each with its document, drawn by seed.

    Args:
        corpus: the documents.
        known: pairs whose query texts are not drawn.
        number: of titles, at most.
        seed: of the draw.
    """
    left_out = {"", *(normalize_query(pair.text) for pair in known)}
    titles = [(document.doc_id, document.title) for document in corpus if normalize_query(document.title) not in left_out]
    drawn = random.Random(f"titles:{seed}").sample(titles, min(number, len(titles)))
    return [LabelledPair(query_id=f"title:{doc_id}", text=title, doc_id=doc_id) for doc_id, title in drawn]
