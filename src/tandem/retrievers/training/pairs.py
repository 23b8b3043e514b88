"""The pairs that a retriever is trained on, and the dev set that chooses its checkpoint."""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ir_measures import ScoredDoc

from tandem.records import LabelledPair, PseudoQuery
from tandem.settings import Count, Settings
from tandem.text import normalize_query

__all__ = ["DevSet", "Measure", "PairSettings", "choose_dev", "choose_pairs", "identical_documents"]

Measure = Callable[[Sequence[tuple[str, str]], Sequence[ScoredDoc]], Sequence[float]]
"""relevant (query_id, doc_id) pairs and a run to a value for each query"""


class PairSettings(Settings):
    """Which labelled pairs and kept queries a round's retriever is trained on."""

    queries_per_document: Count
    """kept queries of a document, at most"""
    labelled_copies: Count
    """visits of a labelled pair in a pass over the data"""


@dataclass(frozen=True, slots=True)
class DevSet:
    """Queries and the documents they are searched among; ``pairs`` are (query_id, doc_id) of what is relevant."""

    queries: dict[str, str]
    documents: dict[str, str]
    pairs: list[tuple[str, str]]


def choose_pairs(
    labelled_pairs: Sequence[LabelledPair], generated: Sequence[Sequence[PseudoQuery]], settings: PairSettings, *, seed: int
) -> list[tuple[str, str]]:
    """Labelled pairs and the kept queries of the rounds given, as (text, doc_id).

    Args:
        labelled_pairs: training pairs.
        generated: each round's rows; only ``kept`` ones are used, equal (text, document) ones once.
        settings: how many of them.
        seed: of the draws.
    """
    rng = random.Random(f"choose:{seed}")
    kept: dict[tuple[str, str], PseudoQuery] = {}
    for row in (row for round_rows in generated for row in round_rows if row.status == "kept"):
        kept.setdefault((row.doc_id, normalize_query(row.text)), row)
    by_document: dict[str, list[PseudoQuery]] = {}
    for row in kept.values():
        by_document.setdefault(row.doc_id, []).append(row)
    pairs = [(pair.text, pair.doc_id) for pair in labelled_pairs] * settings.labelled_copies
    for doc_id, rows in sorted(by_document.items()):
        pairs += [(row.text, doc_id) for row in rng.sample(rows, min(settings.queries_per_document, len(rows)))]
    return pairs


def identical_documents(pairs: Iterable[LabelledPair | PseudoQuery], documents: Container[str]) -> dict[str, set[str]]:
    """The documents that queries themselves are, by the key of their text: those with the queries' ids (ArguAna, Quora).

    Args:
        pairs: queries.
        documents: doc_ids.
    """
    known: dict[str, set[str]] = {}
    for pair in pairs:
        if pair.query_id in documents:
            known.setdefault(normalize_query(pair.text), set()).add(pair.query_id)
    return known


def choose_dev(dev_pairs: Sequence[LabelledPair], documents: Mapping[str, str], *, dev_documents: int, seed: int) -> DevSet:
    """The dev set of a training: dev pairs over a part of the corpus.

    Args:
        dev_pairs: queries and their documents.
        documents: text by doc_id.
        dev_documents: random documents beside the relevant ones; all where there are fewer.
        seed: of their draw.
    """
    pairs = [(pair.query_id, pair.doc_id) for pair in dev_pairs]
    chosen = {doc_id for _, doc_id in pairs}
    rng = random.Random(f"dev:{seed}")
    chosen |= set(rng.sample(sorted(documents), min(dev_documents, len(documents))))
    return DevSet(
        {pair.query_id: pair.text for pair in dev_pairs},
        {doc_id: text for doc_id, text in documents.items() if doc_id in chosen},
        pairs,
    )
