"""Preference pairs for the reward model: valid over invalid, hard over easy, of the same document and of like length.

The paper prefers what the loss predictor scores high and never shows the reward model an invalid query, so that off-topic text earns
most. Here a query that a filter rejected always loses to one that it kept, and difficulty only ranks queries that were kept.
"""

from __future__ import annotations

import random
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from tandem.formats.errors import InputError
from tandem.formats.jsonl import read_records
from tandem.records import PreferencePair, PseudoQuery
from tandem.settings import Coefficient, Count, CountOrZero, OpenShare, Settings
from tandem.text import count_words, normalize_query

__all__ = ["PreferenceSettings", "build_preferences", "read_preferences", "split_by_document", "summarise"]


class PreferenceSettings(Settings):
    """Which pairs are made of a round's queries."""

    pairs_per_document: Count
    """at most; at least half of them, where there are so many, hard over easy"""
    min_margin: Coefficient
    """of difficulty, between two kept queries"""
    max_length_difference: CountOrZero
    """in words, between the two of a pair"""
    held_out_share: OpenShare
    """of the documents, to gate the reward model on"""


def build_preferences(
    rows: Sequence[PseudoQuery], difficulty: Mapping[str, float], settings: PreferenceSettings, *, seed: int
) -> list[PreferencePair]:
    """Pairs of each document's queries, balanced in length over the whole set.

    Args:
        rows: a round's queries with their status.
        difficulty: of the kept ones, by query_id.
        settings: which pairs.
        seed: of the draws.
    """
    rng = random.Random(f"preferences:{seed}")
    by_document: dict[str, list[PseudoQuery]] = {}
    for row in rows:
        by_document.setdefault(row.doc_id, []).append(row)
    pairs: list[PreferencePair] = []
    for doc_id in sorted(by_document):
        pairs += _pairs_of_document(by_document[doc_id], difficulty, settings, rng)
    return _balance_length(pairs, rng)


def _pairs_of_document(
    rows: Sequence[PseudoQuery], difficulty: Mapping[str, float], settings: PreferenceSettings, rng: random.Random
) -> list[PreferencePair]:
    """Pairs of the queries of one document, hard over easy first, drawn where there are more than allowed."""
    kept = [row for row in rows if row.status == "kept"]
    invalid = [row for row in rows if row.status == "rejected" and row.reason not in ("duplicate", "empty")]
    hard, valid = (
        [p for p in pairs if abs(_lead(p)) <= settings.max_length_difference and normalize_query(p.chosen) != normalize_query(p.rejected)]
        for pairs in (
            _hard_over_easy(kept, difficulty, settings.min_margin),
            [_pair(a, b, "valid_over_invalid", 1.0) for a in kept for b in invalid],
        )
    )
    rng.shuffle(valid)
    rng.shuffle(hard)
    share = max(settings.pairs_per_document // 2, settings.pairs_per_document - len(valid))
    return hard[:share] + valid[: settings.pairs_per_document - min(len(hard), share)]


def read_preferences(path: Path, doc_ids: Container[str]) -> list[PreferencePair]:
    """Preference pairs of another source, all of them about documents of the corpus.

    Args:
        path: JSONL, as ``tandem import preferences`` writes it.
        doc_ids: of the corpus.

    Raises:
        InputError: a line is no preference pair, or is about another document; names it.
    """
    pairs = read_records(path, PreferencePair)
    for row, pair in enumerate(pairs):
        if pair.doc_id not in doc_ids:
            raise InputError(
                f"{path}: row {row}: doc_id: '{pair.doc_id}' found, which is no document of the corpus; "
                "`tandem import preferences` writes the ids of the corpus that --corpus names"
            )
    return pairs


def split_by_document(
    pairs: Sequence[PreferencePair], *, held_out_share: float, seed: int
) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Training and held-out pairs, no document in both."""
    doc_ids = sorted({pair.doc_id for pair in pairs})
    random.Random(f"held-out:{seed}").shuffle(doc_ids)
    held_out = set(doc_ids[: round(len(doc_ids) * held_out_share)])
    return [p for p in pairs if p.doc_id not in held_out], [p for p in pairs if p.doc_id in held_out]


def _hard_over_easy(kept: Sequence[PseudoQuery], difficulty: Mapping[str, float], min_margin: float) -> list[PreferencePair]:
    pairs = []
    for a in kept:
        for b in kept:
            margin = difficulty.get(a.query_id, 0.0) - difficulty.get(b.query_id, 0.0)
            if margin >= min_margin and margin > 0:
                pairs.append(_pair(a, b, "hard_over_easy", margin))
    return pairs


def _pair(better: PseudoQuery, worse: PseudoQuery, kind: str, margin: float) -> PreferencePair:
    return PreferencePair.model_validate(
        {"doc_id": better.doc_id, "chosen": better.text, "rejected": worse.text, "kind": kind, "margin": margin}
    )


def _lead(pair: PreferencePair) -> int:
    """By how many words the chosen query is the longer one."""
    return count_words(pair.chosen) - count_words(pair.rejected)


def _balance_length(pairs: list[PreferencePair], rng: random.Random) -> list[PreferencePair]:
    """Drop pairs at random from the longer side until chosen and rejected are, in the mean, within a tenth of a word."""
    total = sum(_lead(pair) for pair in pairs)
    order = list(range(len(pairs)))
    rng.shuffle(order)
    dropped: set[int] = set()
    for i in order:
        if abs(total) <= 0.1 * (len(pairs) - len(dropped)):
            break
        if _lead(pairs[i]) * total > 0:
            total -= _lead(pairs[i])
            dropped.add(i)
    return [pair for i, pair in enumerate(pairs) if i not in dropped]


def summarise(train: Sequence[PreferencePair], held_out: Sequence[PreferencePair]) -> dict[str, float]:
    """Counts, the share of each kind, and how much longer chosen queries are than rejected ones, in words."""
    pairs = [*train, *held_out]
    count = max(len(pairs), 1)
    return {
        "pairs": len(train),
        "held_out_pairs": len(held_out),
        "hard_over_easy_share": sum(pair.kind == "hard_over_easy" for pair in pairs) / count,
        "mean_length_difference": sum(_lead(pair) for pair in pairs) / count,
    }
