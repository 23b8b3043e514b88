"""Training examples of the built-in generator: summaries, clozes and copies, all in the prompt that the pipeline uses."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.generators.keywords import content_words, draw_keywords

__all__ = ["Example", "make_example", "sentences"]

SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`*])")
KEYWORD_COUNTS = (0, 0, 0, 1, 2, 2, 3, 3, 4)


@dataclass(frozen=True, slots=True)
class Example:
    """A document, the keywords of its prompt, the label that asks for the target, and the target."""

    document: str
    keywords: str
    label: str
    target: str


def sentences(text: str) -> list[str]:
    """A text's sentences, split where a full stop is followed by a capital."""
    return [part.strip() for part in SENTENCE.split(text) if part.strip()]


def make_example(
    row: Mapping[str, str], frequencies: Mapping[str, int], *, rng: random.Random, shares: tuple[float, float]
) -> Example | None:
    """One example from a collected text, or None where the text has nothing to ask for.

    Args:
        row: ``summary`` (may be empty) and ``body``.
        frequencies: document frequencies of content words.
        rng: seeded; the same state gives the same example.
        shares: of summaries and of clozes; what is left are copies.
    """
    draw = rng.random()
    if row["summary"] and draw < shares[0]:
        return _with_keywords(row["body"], row["summary"], "Query", frequencies, rng)
    parts = sentences(f"{row['summary']}. {row['body']}" if row["summary"] else row["body"])
    eligible = [i for i, part in enumerate(parts) if 5 <= len(part.split()) <= 25]
    if not eligible or len(parts) < 2:
        return None
    chosen = rng.choice(eligible)
    first = 0 if rng.random() < 0.5 else max(0, chosen - rng.randrange(3))
    first = max(first, chosen - 3)
    cloze = rng.random() < shares[1] / (1 - shares[0])
    document = " ".join(part for i, part in enumerate(parts) if i >= first and not (cloze and i == chosen))
    return _with_keywords(document, parts[chosen].rstrip("."), "Sentence", frequencies, rng) if document else None


def _with_keywords(document: str, target: str, label: str, frequencies: Mapping[str, int], rng: random.Random) -> Example:
    words = content_words(target)
    inside = set(content_words(document))
    shared: Sequence[str] = [word for word in words if word in inside]
    if len(shared) < 2 and rng.random() < 0.5:
        shared = words
    keywords = draw_keywords(shared, frequencies, size=rng.choice(KEYWORD_COUNTS), rng=rng, power=1.0)
    rng.shuffle(keywords)
    return Example(document, ", ".join(keywords), label, target)
