"""Test queries whose measure changed most between two systems, with the first documents of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Changed", "ListedDocument", "SystemResults", "changes"]


@dataclass(frozen=True, slots=True)
class SystemResults:
    """One system: the measure's value and the first doc_ids, both by query_id."""

    values: Mapping[str, float]
    top: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """A document as the report lists it: how it begins, and whether it is relevant to the query."""

    doc_id: str
    text: str
    relevant: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A query with the values of the two systems and the first documents of each."""

    query: str
    before: float
    after: float
    documents: tuple[list[ListedDocument], list[ListedDocument]]


def changes(
    before: SystemResults,
    after: SystemResults,
    queries: Mapping[str, str],
    relevant: Mapping[str, set[str]],
    beginnings: Mapping[str, str],
    *,
    examples: int,
) -> dict[str, list[Changed]]:
    """Queries that ``gained`` and ``lost`` most.

    Args:
        before: the first system.
        after: the second.
        queries: text by query_id.
        relevant: doc_ids by query_id.
        beginnings: how each document begins.
        examples: of each kind, at most.
    """
    gain = {query_id: after.values[query_id] - value for query_id, value in before.values.items()}
    order = sorted(gain, key=lambda query_id: (gain[query_id], query_id))
    chosen = {"gained": [q for q in reversed(order) if gain[q] > 0], "lost": [q for q in order if gain[q] < 0]}

    def listed(query_id: str, system: SystemResults) -> list[ListedDocument]:
        known = relevant.get(query_id, set())
        return [ListedDocument(doc_id, beginnings.get(doc_id, ""), doc_id in known) for doc_id in system.top.get(query_id, ())]

    return {
        kind: [Changed(queries[q], before.values[q], after.values[q], (listed(q, before), listed(q, after))) for q in query_ids[:examples]]
        for kind, query_ids in chosen.items()
    }
