"""Words of a document that a prompt may ask its query to use, drawn by how much they tell documents apart.

Two queries with different keywords differ: this is what makes several queries of one document diverse, and it lets a
small model copy the words that find the document. Weight of a word: ``(1 + log tf) * log(1 + N / df)``.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["STOP_WORDS", "content_words", "document_frequencies", "draw_keywords"]

WORD = re.compile(r"[a-z][a-z0-9_]{2,}")
STOP_WORDS = frozenset(
    """
    a about above after again all also although an and any are as at be because been before being below between both but by can
    cannot could did do does doing down during each either else etc even every few for from further given had has have having he
    her here hers him his how however i if in instead into is it its itself just less like made make many may might more most much
    must need neither new no nor not now of off on once one only onto or other otherwise our out over own per rather same see
    shall she should since so some such than that the their them then there therefore these they this those three through thus to
    too two under until up upon us use used user users uses using very via was we well were what when where whether which while
    who whom whose why will with within without would yet you your yours default defaults optional parameters parameter returns
    return returned notes note raises warns warning example examples attributes attribute value values true false none bool int
    str float dict list tuple object objects string strings number class method methods function functions argument arguments
    array_like array arrays shape type types ndarray versionadded versionchanged deprecated
    """.split()  # noqa: SIM905 - a list of two hundred lines says no more
)


def content_words(text: str) -> list[str]:
    """The lower-case words of a text in order, without stop words and without documentation boilerplate."""
    return [word for word in WORD.findall(text.lower()) if word not in STOP_WORDS]


def document_frequencies(texts: Iterable[str]) -> Counter[str]:
    """In how many texts each content word occurs; the number of texts stands under the empty string."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(content_words(text)))
        counts[""] += 1
    return counts


def draw_keywords(
    words: Sequence[str], frequencies: Mapping[str, int], *, number: int, rng: random.Random, power: float = 2.0
) -> list[str]:
    """Draw up to ``number`` different words, in their order of appearance, by weight to the ``power``.

    Args:
        words: content words of one document, repetitions included.
        frequencies: from :func:`document_frequencies` over the whole corpus.
        number: how many to draw; 0 gives none.
        rng: the caller's seeded generator.
        power: 0 draws evenly; a high power always takes the heaviest words.
    """
    counts = Counter(words)
    total = max(frequencies.get("", 1), 1)
    keys: dict[str, float] = {}
    for word, count in counts.items():
        weight = (1 + math.log(count)) * math.log1p(total / max(frequencies.get(word, 1), 1))
        # Efraimidis and Spirakis (2006): the k largest log(u) / w are a weighted sample without replacement.
        keys[word] = math.log(max(rng.random(), 1e-12)) / max(weight**power, 1e-9)
    chosen = set(sorted(keys, key=lambda word: keys[word], reverse=True)[:number])
    return [word for word in counts if word in chosen]
