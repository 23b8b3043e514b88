"""Preference pairs for the reward model: valid over invalid, hard over easy, of the same document and of like length.

The paper prefers what the loss predictor scores high and never shows the reward model an invalid query, so that off-topic text earns
most. Here a query that a filter rejected always loses to one that it kept, and difficulty only ranks queries that were kept.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tandem.records import PreferencePair, PseudoQuery
from tandem.text import count_words, normalize_query

__all__ = ["build_preferences", "split_by_document", "summarise"]


def build_preferences(
    rows: Sequence[PseudoQuery],
    difficulty: Mapping[str, float],
    *,
    pairs_per_document: int,
    min_margin: float,
    max_length_difference: int,
    seed: int,
) -> list[PreferencePair]:
    """Pairs of each document's queries, balanced in length over the whole set.

    Args:
        rows: a round's queries with their status.
        difficulty: of the kept ones, by query_id.
        pairs_per_document: at most; at least half of them, where there are so many, hard over easy.
        min_margin: of difficulty between two kept queries.
        max_length_difference: in words, between the two of a pair.
        seed: of the draws.
    """
    rng = random.Random(f"preferences:{seed}")
    by_document: dict[str, list[PseudoQuery]] = {}
    for row in rows:
        by_document.setdefault(row.doc_id, []).append(row)
    pairs: list[PreferencePair] = []
    for doc_id in sorted(by_document):
        own = by_document[doc_id]
        kept = [row for row in own if row.status == "kept"]
        hard = _hard_over_easy(kept, difficulty, min_margin)
        invalid = [row for row in own if row.status == "rejected" and row.reason not in ("duplicate", "empty")]
        valid = [_pair(a, b, "valid_over_invalid", 1.0) for a in kept for b in invalid]
        hard, valid = (
            [p for p in part if _length_gap(p) <= max_length_difference and normalize_query(p.chosen) != normalize_query(p.rejected)]
            for part in (hard, valid)
        )
        rng.shuffle(valid)
        rng.shuffle(hard)
        share = max(pairs_per_document // 2, pairs_per_document - len(valid))
        pairs += hard[:share]
        pairs += valid[: pairs_per_document - min(len(hard), share)]
    return _balance_length(pairs, rng)


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


def _length_gap(pair: PreferencePair) -> int:
    return abs(count_words(pair.chosen) - count_words(pair.rejected))


def _balance_length(pairs: list[PreferencePair], rng: random.Random) -> list[PreferencePair]:
    """Drop pairs at random from the longer side until chosen and rejected are, in the mean, within a tenth of a word."""

    def gap(pair: PreferencePair) -> int:
        return count_words(pair.chosen) - count_words(pair.rejected)

    total = sum(gap(pair) for pair in pairs)
    order = list(range(len(pairs)))
    rng.shuffle(order)
    dropped: set[int] = set()
    for i in order:
        if abs(total) <= 0.1 * (len(pairs) - len(dropped)):
            break
        if gap(pairs[i]) * total > 0:
            total -= gap(pairs[i])
            dropped.add(i)
    return [pair for i, pair in enumerate(pairs) if i not in dropped]


def summarise(train: Sequence[PreferencePair], held_out: Sequence[PreferencePair]) -> dict[str, float]:
    """Counts, the share of each kind, and how much longer chosen queries are than rejected ones, in words."""
    pairs = [*train, *held_out]
    number = max(len(pairs), 1)
    return {
        "pairs": len(train),
        "held_out_pairs": len(held_out),
        "hard_over_easy_share": sum(pair.kind == "hard_over_easy" for pair in pairs) / number,
        "mean_length_difference": sum(count_words(p.chosen) - count_words(p.rejected) for p in pairs) / number,
    }
