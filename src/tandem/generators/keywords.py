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

from tandem.text import MARKS, Language, split_words, stop_words

__all__ = ["content_words", "document_frequencies", "draw_keywords", "offer_keywords"]

NAME = re.compile(rf"[^\W\d_][\w{MARKS}]*")  # begins with a letter; names of code keep their underscores
MINIMUM = 3  # characters, in scripts that have spaces


def content_words(text: str, language: Language = "english", ignored: Iterable[str] = ()) -> list[str]:
    """The lower-case words of a text in order, without stop words.

    Args:
        text: in any script; of one without spaces, pairs of neighbouring characters.
        language: of the stop words.
        ignored: words that say as little in this corpus, such as *returns* in documentation of code.
    """
    left_out = stop_words(language).union(ignored)
    words: list[str] = []
    for name in NAME.findall(text.lower()):
        if not name.isascii():
            words += split_words(name, minimum=MINIMUM)
        elif len(name) >= MINIMUM:
            words.append(name)
    return [word for word in words if word not in left_out]


def document_frequencies(texts: Iterable[str], language: Language = "english", ignored: Iterable[str] = ()) -> Counter[str]:
    """In how many texts each content word occurs; the number of texts stands under the empty string."""
    counts: Counter[str] = Counter()
    ignored = frozenset(ignored)
    for text in texts:
        counts.update(set(content_words(text, language, ignored)))
        counts[""] += 1
    return counts


def offer_keywords(words: Sequence[str], frequencies: Mapping[str, int], *, least: int, most: int, rng: random.Random) -> str:
    """What a prompt offers of these words: ``least`` to ``most`` of them, in random order, parted by commas; empty where ``most`` is 0.

    The one way in which keywords come into a prompt, whether it is trained on, sampled from or rolled out.
    """
    drawn = draw_keywords(words, frequencies, size=rng.randint(least, most) if most else 0, rng=rng)
    rng.shuffle(drawn)
    return ", ".join(drawn)


def draw_keywords(words: Sequence[str], frequencies: Mapping[str, int], *, size: int, rng: random.Random, power: float = 2.0) -> list[str]:
    """Draw up to ``size`` different words, in their order of appearance, by weight to the ``power``.

    Args:
        words: content words of one document, repetitions included.
        frequencies: from :func:`document_frequencies` over the whole corpus.
        size: how many to draw; 0 gives none.
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
    chosen = set(sorted(keys, key=lambda word: keys[word], reverse=True)[:size])
    return [word for word in counts if word in chosen]
