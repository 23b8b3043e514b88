"""The labelled budget: a few pairs drawn from the train split by seed, parted by query into training and dev."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tandem.records import LabelledPair
from tandem.settings import CountOrZero, Seed, Settings, Share
from tandem.text import normalize_query

__all__ = ["BudgetSettings", "budget", "sample_pairs"]


class BudgetSettings(Settings):
    """How many labels there are."""

    pairs: CountOrZero
    """labelled pairs to draw; 0 is legal: no fine-tuning, round 0 is zero-shot, prepare_dev generates dev queries"""
    dev_share: Share
    """share of the drawn queries that choose checkpoints; at least one query where there are two"""
    seed: Seed
    """of the draw and of the split"""


def sample_pairs(pairs: Sequence[LabelledPair], settings: BudgetSettings) -> tuple[list[LabelledPair], list[LabelledPair]]:
    """Draw the budget and part it: training pairs and dev pairs, no query in both, whatever its ids.

    The draw is by pair, over the pairs in order of their ids, never the first rows. Fewer pairs than asked for are
    all taken; 0 gives two empty lists.

    Args:
        pairs: the train split.
        settings: of the draw and of the split.
    """
    rng = random.Random(f"few-shot:{settings.seed}")
    ordered = sorted(pairs, key=lambda pair: (pair.query_id, pair.doc_id))
    drawn = rng.sample(ordered, min(settings.pairs, len(ordered)))
    first = _one_id_a_text(drawn)
    queries = sorted(set(first.values()))
    rng.shuffle(queries)
    size = max(round(len(queries) * settings.dev_share), 1 if len(queries) > 1 and settings.dev_share > 0 else 0)
    dev = set(queries[:size])
    return [pair for pair in drawn if first[pair.query_id] not in dev], [pair for pair in drawn if first[pair.query_id] in dev]


def _one_id_a_text(pairs: Sequence[LabelledPair]) -> dict[str, str]:
    """For each query_id the one that stands for it and for every other id of the same text, which is the same query."""
    first: dict[str, str] = {}
    by_text: dict[str, str] = {}
    for pair in pairs:
        query_id = first.setdefault(pair.query_id, pair.query_id)
        other = by_text.setdefault(normalize_query(pair.text), query_id)
        if other != query_id:  # the two are one
            joined = {query_id, other}
            first = {name: min(joined) if root in joined else root for name, root in first.items()}
            by_text = {text: min(joined) if root in joined else root for text, root in by_text.items()}
    return first


def budget(pairs: Sequence[LabelledPair]) -> dict[str, int]:
    """A budget as it is to be reported: in pairs and in queries."""
    return {"pairs": len(pairs), "queries": len({pair.query_id for pair in pairs})}
