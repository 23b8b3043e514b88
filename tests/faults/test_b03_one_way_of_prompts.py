"""Sampling, trials and rollouts make their prompts alike: the same documents get the same prompts, keywords in random order."""

from __future__ import annotations

import random
from typing import Any

from conftest import QUERIES, TEXTS, prompted

from tandem.generators.examples import draw_examples
from tandem.generators.keywords import content_words, document_frequencies, offer_keywords
from tandem.generators.prompts import QueryPrompts
from tandem.generators.requests import RequestSettings, plan_requests
from tandem.generators.rollouts import plan_rollouts
from tandem.generators.sft import supervised_rows
from tandem.generators.trainers import preference_rows
from tandem.records import LabelledPair, PreferencePair

PROMPT: dict[str, Any] = {"template": "{keywords}|{document}", "document_tokens": 16, "keywords": 3}
PROMPTED = prompted(**PROMPT)


def test_rollouts_are_what_sampling_asks(tiny_tokenizer: Any) -> None:
    settings = RequestSettings(sampled_documents=6, queries_per_document=1)
    requests = plan_requests(TEXTS, settings, PROMPTED, prefix="rollout", seed=5)
    prompts = QueryPrompts(tiny_tokenizer, PROMPTED.prompt).render_requests(requests, TEXTS)
    rollouts = plan_rollouts(TEXTS, dict.fromkeys(TEXTS, 0.5), tiny_tokenizer, PROMPTED, seed=5)
    assert [prompt.text for prompt in rollouts] == prompts
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
    rows = supervised_rows(pairs, QueryPrompts(tiny_tokenizer, PROMPTED.prompt), frequencies, PROMPTED, seed=1)
    three = [row["prompt"].partition("|")[0] for row in rows if row["prompt"].partition("|")[0].count(",") == 2]
    assert {in_order(text) for text in three} == {True, False}


def test_worked_examples_are_the_same_wherever_a_query_is_written_on(tiny_tokenizer: Any) -> None:
    """Fine-tuning, sampling, rollouts and preference pairs: one beginning of one type, never with the document itself in it."""
    values = PROMPTED.model_dump()
    values["prompt"]["examples"] = {"per_prompt": 2, "query_types": ["labelled"]}
    settings = PROMPTED.model_validate(values)
    pairs = [LabelledPair(query_id=f"q-{name}", text=text, doc_id=name) for name, text in QUERIES.items()]
    drawn = draw_examples(settings, pairs, TEXTS, seed=5)
    shown = {example.document for example in drawn.by_type["labelled"]}
    prompts = QueryPrompts(tiny_tokenizer, settings.prompt, examples=drawn)
    requests = plan_requests(
        TEXTS, RequestSettings(sampled_documents=6, queries_per_document=1), settings, prefix="rollout", seed=5, query_types=drawn.types
    )
    sampled = dict(zip(TEXTS, prompts.render_requests(requests, TEXTS), strict=True))
    rollouts = plan_rollouts(TEXTS, dict.fromkeys(TEXTS, 0.5), tiny_tokenizer, settings, seed=5, examples=drawn)
    assert {prompt.doc_id: prompt.text for prompt in rollouts} == sampled
    tuned = supervised_rows([(TEXTS[pair.doc_id], pair.text) for pair in pairs], prompts, {}, settings, seed=1)
    preferences = [PreferencePair(doc_id=name, chosen="a", rejected="b", kind="valid_over_invalid") for name in TEXTS]
    preferred = preference_rows(preferences, TEXTS, prompts)
    beginnings = {name: text.rpartition("\n\n")[0] for name, text in sampled.items()}
    assert [row["prompt"].rpartition("\n\n")[0] for row in tuned] == list(beginnings.values())
    assert [row["prompt"].rpartition("\n\n")[0] for row in preferred] == list(beginnings.values())
    assert len({beginnings[name] for name, text in TEXTS.items() if text not in shown}) == 1
    assert all(QUERIES[name] not in beginnings[name] for name in TEXTS)
    assert tuned[0]["completion"] == f" {pairs[0].text}\n"
    assert (preferred[0]["chosen"], preferred[0]["rejected"]) == (" a\n", " b\n")
