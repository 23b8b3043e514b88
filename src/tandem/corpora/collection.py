"""A collection as every source gives it: documents, labelled pairs to learn from, judged queries to test with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tandem.records import Document, LabelledPair
from tandem.text import find_near_duplicates, normalize_query

__all__ = ["Collection", "without_test_queries"]


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, pairs of the train split and of the test split (either may be empty), what made them, and what they lack.

    ``left_out`` names what the source holds and the collection does not, by reason.
    """

    documents: Sequence[Document]
    train: Sequence[LabelledPair]
    test: Sequence[LabelledPair]
    sources: dict[str, str] = field(default_factory=dict)
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)


def without_test_queries(
    train: Sequence[LabelledPair], test: Sequence[LabelledPair], *, threshold: float | None = None
) -> list[LabelledPair]:
    """The training pairs whose query, by id or by normalised text, is no test query.

    Args:
        train: labelled pairs to learn from.
        test: labelled pairs to measure with.
        threshold: similarity of words from which a near duplicate of a test query goes too, see
            :func:`tandem.text.find_near_duplicates`; None leaves near duplicates in.
    """
    barred = {pair.query_id for pair in test} | {normalize_query(pair.text) for pair in test}
    kept = [pair for pair in train if pair.query_id not in barred and normalize_query(pair.text) not in barred]
    if threshold is None:
        return kept
    near = find_near_duplicates({pair.query_id: pair.text for pair in test}, [pair.text for pair in kept], threshold=threshold)
    return [pair for i, pair in enumerate(kept) if i not in near]
