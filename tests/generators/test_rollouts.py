"""The order in which documents are visited."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from tandem.generators.rollouts import Curriculum, Prompt

PROMPTS = [Prompt("sort", "Document: sort the rows\nKeywords: \nQuery:", i / 8) for i in range(8)]


def visited(order: Any, *, batch_size: int = 2, batches: int = 4) -> list[float]:
    curriculum = Curriculum(PROMPTS, order, 0)
    return [prompt.difficulty for batch in islice(curriculum.batches(batch_size), batches) for prompt in batch]


def test_easy_documents_come_first_or_last() -> None:
    every = [prompt.difficulty for prompt in PROMPTS]
    assert visited("easy_first") == sorted(every)
    assert visited("hard_first") == sorted(every, reverse=True)
    assert sorted(visited("random")) == sorted(every)
    assert visited("random") not in (sorted(every), sorted(every, reverse=True))


def test_a_pass_is_filled_up_from_the_next() -> None:
    """Three batches of three of eight prompts: the ninth is the easiest again."""
    assert visited("easy_first", batch_size=3, batches=3) == [*(i / 8 for i in range(8)), 0.0]


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order: 'easiest' found, allowed: easy_first, hard_first, random"):
        visited("easiest")
