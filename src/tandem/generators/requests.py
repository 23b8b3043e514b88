"""Which documents get queries, how many, with which keywords and of which type: drawn by seed, a document by its id."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from tandem.generators.keywords import content_words, document_frequencies, offer_keywords
from tandem.generators.prompt_settings import PromptedSettings
from tandem.settings import Count, CountOrZero, Settings

__all__ = ["Request", "RequestSettings", "plan_requests"]


class RequestSettings(Settings):
    """How many queries are written, of how many documents."""

    sampled_documents: CountOrZero
    """drawn by seed; all where there are fewer"""
    queries_per_document: Count
    """each with keywords drawn anew"""


class Request(NamedTuple):
    """A query that is to be written."""

    query_id: str
    doc_id: str
    keywords: str
    query_type: str = ""
    """where prompts have examples: of this type"""


def plan_requests(
    texts: Mapping[str, str],
    settings: RequestSettings,
    prompted: PromptedSettings,
    *,
    prefix: str,
    seed: int,
    among: Collection[str] | None = None,
    query_types: Sequence[str] = (),
) -> list[Request]:
    """Draw the requests of a round.

    A document is drawn, and its keywords are, by its id: a corpus that grows keeps most of its requests. Rounds write for the same
    documents, with other keywords.

    Args:
        texts: of the corpus by doc_id; any of them may be drawn, whatever the judgements say, and words are weighed by all of them.
        settings: how many.
        prompted: how many keywords a prompt offers: each query gets 1 to this many, or none where it is 0.
        prefix: of the query ids, which are ``prefix-number``.
        seed: of the draws.
        among: draw from these doc_ids only; None draws from all.
        query_types: that the queries of a document take turns with, from a type drawn by seed.
    """
    prompt, language = prompted.prompt, prompted.language
    frequencies = document_frequencies(texts.values(), language, prompt.ignored_words) if prompt.keywords else {}
    eligible = [doc_id for doc_id, text in texts.items() if (among is None or doc_id in among) and text.strip()]
    chosen = set(sorted(eligible, key=lambda doc_id: _digest(f"requests:{seed}:{doc_id}"))[: settings.sampled_documents])
    requests: list[Request] = []
    for doc_id in (doc_id for doc_id in eligible if doc_id in chosen):
        rng = random.Random(f"keywords:{seed}:{prefix}:{doc_id}")
        words = content_words(texts[doc_id], language, prompt.ignored_words)
        types = _take_turns(query_types, f"types:{seed}:{prefix}:{doc_id}", settings.queries_per_document)
        for query_type in types:
            keywords = offer_keywords(words, frequencies, least=1, most=prompt.keywords, rng=rng)
            requests.append(Request(f"{prefix}-{len(requests)}", doc_id, keywords, query_type))
    return requests


def _take_turns(query_types: Sequence[str], seed: str, count: int) -> list[str]:
    """Types one after the other from one that is drawn; empty ones where there are none."""
    start = random.Random(seed).randrange(len(query_types)) if query_types else 0
    return [query_types[(start + i) % len(query_types)] if query_types else "" for i in range(count)]


def _digest(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()
