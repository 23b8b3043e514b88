"""What happened to the training queries: how many each filter rejected, how they drift from real ones, how difficult they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.records import Difficulty, Document, LabelledPair, PseudoQuery, document_text
from tandem.text import normalize_query, split_words

__all__ = ["QueryStyle", "drift", "funnel", "histogram"]

Queries = Sequence[PseudoQuery] | Sequence[LabelledPair]


def funnel(rows: Sequence[PseudoQuery]) -> list[tuple[str, int]]:
    """How many queries were rejected for each reason, most first, and how many were kept, last."""
    reasons = Counter(row.reason or "rejected" for row in rows if row.status == "rejected")
    return [*reasons.most_common(), ("kept", sum(row.status == "kept" for row in rows))]


@dataclass(frozen=True, slots=True)
class QueryStyle:
    """What a set of queries looks like.

    ``overlap`` is the mean share of a query's words that its source document has; ``first_words`` are the commonest three with their
    shares; lengths are in words.
    """

    queries: str
    number: int
    mean_words: float
    deviation_words: float
    distinct_share: float
    overlap: float
    first_words: str


def drift(sets: Mapping[str, Queries], documents: Sequence[Document]) -> list[QueryStyle]:
    """One row a set of queries, real ones among them: what the queries of a generator drift away from.

    Args:
        sets: queries with their documents, by name.
        documents: the corpus.
    """
    needed = {row.doc_id for rows in sets.values() for row in rows}
    words = {document.doc_id: frozenset(split_words(document_text(document))) for document in documents if document.doc_id in needed}
    return [_style(name, rows, words) for name, rows in sets.items()]


def _style(name: str, rows: Queries, words: Mapping[str, frozenset[str]]) -> QueryStyle:
    texts = [(row.text, row.doc_id) for row in rows if row.text]
    split = [split_words(text) for text, _ in texts]
    lengths = [len(query) for query in split]
    mean = sum(lengths) / max(len(lengths), 1)
    overlaps = [
        sum(word in words.get(doc_id, ()) for word in query) / len(query) for query, (_, doc_id) in zip(split, texts, strict=True) if query
    ]
    first = Counter(query[0] for query in split if query)
    return QueryStyle(
        queries=name,
        number=len(texts),
        mean_words=mean,
        deviation_words=math.sqrt(sum((length - mean) ** 2 for length in lengths) / max(len(lengths), 1)),
        distinct_share=len({normalize_query(text) for text, _ in texts}) / max(len(texts), 1),
        overlap=sum(overlaps) / max(len(overlaps), 1),
        first_words=", ".join(f"{word} {count / len(texts):.0%}" for word, count in first.most_common(3)),
    )


def histogram(rows: Sequence[Difficulty], bins: int = 10) -> list[tuple[float, int]]:
    """How many queries lie in each bin of difficulty, by the bin's lower end; bins are of equal width from lowest to highest."""
    values = [row.difficulty for row in rows]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    width = (high - low) / bins or 1.0
    counts = Counter(min(int((value - low) / width), bins - 1) for value in values)
    return [(low + i * width, counts[i]) for i in range(bins)]
