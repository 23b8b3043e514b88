"""Rows for rerankers from a corpus: relevant documents and mined negatives, titles as queries that need no label."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from tandem.records import Document, LabelledPair, RankingRow
from tandem.text import normalize_query

__all__ = ["build_rows", "queries_of", "relevant_of", "title_pairs"]


def queries_of(pairs: Iterable[LabelledPair]) -> dict[str, str]:
    """Query text by query_id."""
    return {pair.query_id: pair.text for pair in pairs}


def relevant_of(pairs: Iterable[LabelledPair]) -> dict[str, set[str]]:
    """The doc_ids judged relevant, by query_id."""
    relevant: dict[str, set[str]] = {}
    for pair in pairs:
        relevant.setdefault(pair.query_id, set()).add(pair.doc_id)
    return relevant


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
