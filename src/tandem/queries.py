"""When two queries are the same query: word for word, or nearly so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["find_near_duplicates", "query_key"]

WORD = re.compile(r"[^\W_]+")


def query_key(text: str) -> str:
    """What two texts share that count as one query: lower case, one space between words."""
    return " ".join(text.lower().split())


def find_near_duplicates(held_out: Mapping[str, str], texts: Sequence[str], *, threshold: float) -> dict[int, str]:
    """Texts that are a held-out query, word for word or nearly so.

    Two queries are near duplicates if the Jaccard similarity of their sets of words reaches the threshold; word order, case and
    punctuation do not count. A query of fewer than three different words has near duplicates of exactly its words only.

    Args:
        held_out: text by query_id.
        texts: of what is trained on.
        threshold: 0 to 1.

    Returns:
        The query_id of a held-out query, by the index of the text.
    """
    words = {query_id: _words(text) for query_id, text in held_out.items()}
    by_word: dict[str, list[str]] = {}
    for query_id, own in words.items():
        for word in own:
            by_word.setdefault(word, []).append(query_id)
    found = {}
    for i, text in enumerate(texts):
        own = _words(text)
        shared: dict[str, int] = {}
        for word in own:
            for query_id in by_word.get(word, ()):
                shared[query_id] = shared.get(query_id, 0) + 1
        for query_id, count in shared.items():
            least = threshold if min(len(own), len(words[query_id])) >= 3 else 1.0
            if count / (len(own) + len(words[query_id]) - count) >= least:
                found[i] = query_id
                break
    return found


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))
