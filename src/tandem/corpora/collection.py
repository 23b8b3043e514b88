"""A collection as every source gives it: documents, labelled pairs to learn from, judged queries to test with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tandem.queries import find_near_duplicates
from tandem.records import Document, LabelledPair

__all__ = ["Collection", "normalise", "without_test_queries"]

SPACES = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, pairs of the train split and of the test split (either may be empty), and what made them."""

    documents: Sequence[Document]
    train: Sequence[LabelledPair]
    test: Sequence[LabelledPair]
    sources: dict[str, str] = field(default_factory=dict)


def normalise(text: str) -> str:
    """Lower-case words, one space between them: what two texts must share to count as the same query."""
    return SPACES.sub(" ", text.lower()).strip()


def without_test_queries(
    train: Sequence[LabelledPair], test: Sequence[LabelledPair], *, threshold: float | None = None
) -> list[LabelledPair]:
    """The training pairs whose query, by id or by normalised text, is no test query.

    Args:
        train: labelled pairs to learn from.
        test: labelled pairs to measure with.
        threshold: similarity of words from which a near duplicate of a test query goes too, see
            :func:`tandem.queries.find_near_duplicates`; None leaves near duplicates in.
    """
    barred = {pair.query_id for pair in test} | {normalise(pair.text) for pair in test}
    kept = [pair for pair in train if pair.query_id not in barred and normalise(pair.text) not in barred]
    if threshold is None:
        return kept
    near = find_near_duplicates({pair.query_id: pair.text for pair in test}, [pair.text for pair in kept], threshold=threshold)
    return [pair for i, pair in enumerate(kept) if i not in near]
