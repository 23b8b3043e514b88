"""Expanded documents: kept queries alone, each once, none that is a dev query, no more than asked for."""

from __future__ import annotations

from tandem.records import LabelledPair, PseudoQuery
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.expansion import ExpansionSettings, expand_documents

TEXTS = {"a": "sort the rows", "b": "draw a line", "c": "mean"}


def row(doc_id: str, text: str, status: str = "kept", reason: str = "") -> PseudoQuery:
    return PseudoQuery(query_id=f"r1-{doc_id}-{text}", text=text, doc_id=doc_id, status=status, reason=reason)  # type: ignore[arg-type]


ROUNDS = [
    [row("a", "order a table"), row("a", "rank cells"), row("b", "paint", "rejected", "bm25"), row("b", "plot", "rejected", "selection")],
    [row("a", "Order  a table"), row("b", "sketch"), row("c", "what is average")],
]
DEV = [LabelledPair(query_id="d", text="What is  average", doc_id="b")]


def expand(number: int, seed: int = 1) -> tuple[dict[str, str], dict[str, int]]:
    return expand_documents(TEXTS, ROUNDS, DEV, ExpansionSettings(queries_per_document=number), seed=seed)


def test_kept_queries_of_both_rounds_and_no_others() -> None:
    """What selection left out of training had passed the filters; what a filter rejected had not."""
    texts, counts = expand(9)
    assert list(texts) == list(TEXTS)
    assert {doc_id: sorted(text.split("\n")[1:]) for doc_id, text in texts.items()} == {
        "a": ["order a table", "rank cells"],
        "b": ["plot", "sketch"],
        "c": [],
    }
    assert all(text.split("\n")[0] == TEXTS[doc_id] for doc_id, text in texts.items())
    assert counts == {"appended": 4, "expanded": 2, "dev_queries": 1}


def test_a_dev_query_is_appended_to_no_document_whoever_wrote_it() -> None:
    assert "average" not in " ".join(expand(9)[0].values())
    assert "average" in expand_documents(TEXTS, ROUNDS, [], ExpansionSettings(queries_per_document=9), seed=1)[0]["c"]


def test_so_many_a_document_by_seed() -> None:
    texts, counts = expand(1)
    assert [text.count("\n") for text in texts.values()] == [1, 1, 0]
    assert counts["appended"] == 2
    assert expand(1) == expand(1)
    assert len({expand(1, seed)[0]["a"] for seed in range(20)}) == 2
    assert expand(0) == (TEXTS, {"appended": 0, "expanded": 0, "dev_queries": 1})


def test_a_document_is_found_by_words_that_only_its_queries_have() -> None:
    assert BM25Index(TEXTS).search({"q": "sketch"}) == []
    (found,) = BM25Index(expand(9)[0]).search({"q": "sketch"})
    assert found.doc_id == "b"
