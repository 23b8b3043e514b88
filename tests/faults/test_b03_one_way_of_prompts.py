"""Sampling, trials and rollouts make their prompts alike: the same documents get the same prompts, keywords in random order."""

from __future__ import annotations

import random
from typing import Any

from conftest import TEXTS, prompted

from tandem.generators.keywords import content_words, document_frequencies, offer_keywords
from tandem.generators.rollouts import plan_rollouts
from tandem.generators.sampling import plan_prompts
from tandem.generators.sft import supervised_rows

PROMPT: dict[str, Any] = {"template": "{keywords}|{document}", "document_tokens": 16, "keywords": 3}
PROMPTED = prompted(**PROMPT)


def test_rollouts_are_what_sampling_asks(tiny_tokenizer: Any) -> None:
    plan = {"prefix": "rollout", "sampled_documents": 6, "queries_per_document": 1, "seed": 5}
    _, prompts = plan_prompts(TEXTS, tiny_tokenizer, **plan, **PROMPT)
    rollouts = plan_rollouts(TEXTS, dict.fromkeys(TEXTS, 0.5), tiny_tokenizer, PROMPTED, seed=5)
    assert [prompt.text for prompt in rollouts] == list(prompts.values())
    assert all(prompt.text.partition("|")[0] for prompt in rollouts)  # never without a keyword, as in sampling


def test_keywords_are_in_random_order_wherever_they_are_offered(tiny_tokenizer: Any) -> None:
    frequencies = document_frequencies(TEXTS.values())
    words = content_words(TEXTS["sort"])

    def in_order(offered: str) -> bool:
        places = [words.index(word) for word in offered.split(", ")]
        return places == sorted(places)

    offered = {offer_keywords(words, frequencies, least=3, most=3, rng=random.Random(i)) for i in range(40)}
    assert {in_order(text) for text in offered} == {True, False}
    rollouts = [plan_rollouts(TEXTS, {"sort": 1.0}, tiny_tokenizer, PROMPTED, seed=i)[0].text.partition("|")[0] for i in range(60)]
    assert {in_order(text) for text in rollouts if text.count(",") == 2} == {True, False}
    pairs = [(TEXTS["sort"], "sort rows of a table in ascending order")] * 60
    rows = supervised_rows(pairs, tiny_tokenizer, frequencies, PROMPTED, seed=1)
    three = [row["prompt"].partition("|")[0] for row in rows if row["prompt"].partition("|")[0].count(",") == 2]
    assert {in_order(text) for text in three} == {True, False}
