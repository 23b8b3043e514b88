"""The labelled budget: a few pairs drawn from the train split by seed, parted by query into training and dev."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tandem.records import LabelledPair
from tandem.text import normalize_query

__all__ = ["budget", "sample_pairs"]


def sample_pairs(
    pairs: Sequence[LabelledPair], *, number: int, dev_share: float, seed: int
) -> tuple[list[LabelledPair], list[LabelledPair]]:
    """Draw ``number`` pairs and part them: training pairs and dev pairs, no query in both, whatever its ids.

    The draw is by pair, over the pairs in order of their ids, never the first rows. Fewer pairs than asked for are
    all taken; 0 gives two empty lists.

    Args:
        pairs: the train split.
        number: the budget in pairs.
        dev_share: of the drawn queries that go to dev, from 0 to 1; at least one where there are two.
        seed: of the draw and of the split.
    """
    rng = random.Random(f"few-shot:{seed}")
    ordered = sorted(pairs, key=lambda pair: (pair.query_id, pair.doc_id))
    drawn = rng.sample(ordered, min(number, len(ordered)))
    first = _one_id_a_text(drawn)
    queries = sorted(set(first.values()))
    rng.shuffle(queries)
    size = max(round(len(queries) * dev_share), 1 if len(queries) > 1 and dev_share > 0 else 0)
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
