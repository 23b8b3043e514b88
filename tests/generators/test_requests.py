"""Requests are drawn by the documents' ids, and their queries take turns with the types of the examples."""

from __future__ import annotations

from typing import Any

from conftest import TEXTS

from tandem.generators.prompts import PromptedSettings, PromptSettings
from tandem.generators.requests import Request, RequestSettings, plan_requests
from tandem.records import Document

PROMPTED = PromptedSettings(
    prompt=PromptSettings(template="{document}", document_tokens=8, keywords=2, ignored_words=[]), language="english"
)


def planned(texts: dict[str, str], *, documents: int = 3, queries: int = 1, seed: int = 1, **changes: Any) -> list[Request]:
    settings = RequestSettings(sampled_documents=documents, queries_per_document=queries)
    return plan_requests(texts, settings, PROMPTED, prefix="r1", seed=seed, **changes)


def test_documents_are_drawn_by_their_own_ids(corpus: list[Document]) -> None:
    chosen = {request.doc_id: request.keywords for request in planned(TEXTS)}
    backwards = {request.doc_id: request.keywords for request in planned(dict(reversed(TEXTS.items())))}
    assert chosen == backwards
    assert [request.doc_id for request in planned(TEXTS, among=set(chosen))] == list(chosen)
    assert {request.doc_id for request in planned(TEXTS, seed=3)} != set(chosen)
    assert {request.doc_id for request in planned({**TEXTS, "blank": " "}, documents=99)} == set(TEXTS)


def test_the_queries_of_a_document_take_turns_with_the_types() -> None:
    types = ["question", "claim", "title"]
    requests = planned(TEXTS, documents=6, queries=3, query_types=types)
    by_document = {doc_id: [request.query_type for request in requests if request.doc_id == doc_id] for doc_id in TEXTS}
    assert all(sorted(taken) == sorted(types) for taken in by_document.values())
    assert len({taken[0] for taken in by_document.values()}) > 1, "which comes first is drawn"
    assert requests == planned(TEXTS, documents=6, queries=3, query_types=types)
    plain = planned(TEXTS, documents=6, queries=3)
    assert [request._replace(query_type="") for request in requests] == plain, "documents and keywords stay what they were"
