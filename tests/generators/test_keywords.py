"""Keywords are drawn by how much they tell documents apart."""

from __future__ import annotations

import random
from collections import Counter

from tandem.generators.keywords import content_words, document_frequencies, draw_keywords


def test_keywords_prefer_rare_words() -> None:
    texts = ["table rows shared"] * 99 + ["table zygote shared"]
    frequencies = document_frequencies(texts)
    assert frequencies["table"] == 100
    rng = random.Random(0)
    drawn = Counter(w for _ in range(200) for w in draw_keywords(["table", "zygote", "shared"], frequencies, size=1, rng=rng))
    assert drawn["zygote"] > 150
    assert draw_keywords(["zygote", "table"], frequencies, size=5, rng=rng) == ["zygote", "table"]
    assert draw_keywords(["zygote"], frequencies, size=0, rng=rng) == []
    text = "The Parameters of a Fourier transform, array_like"
    assert content_words(text) == ["parameters", "fourier", "transform", "array_like"]
    assert content_words(text, ignored=["parameters", "array_like"]) == ["fourier", "transform"]
