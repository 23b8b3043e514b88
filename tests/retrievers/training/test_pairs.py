"""The pairs of a round, and its dev set."""

from __future__ import annotations

from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers.training.pairs import PairSettings, choose_dev, choose_pairs


def pseudo(number: int, doc_id: str, status: str = "kept") -> PseudoQuery:
    return PseudoQuery.model_validate({"query_id": f"{doc_id}{number}", "text": f"{doc_id} {number}", "doc_id": doc_id, "status": status})


def test_pairs_of_a_round(pairs: list[LabelledPair]) -> None:
    rounds = [
        [pseudo(i, "sort") for i in range(5)],
        [pseudo(0, "sort"), pseudo(0, "mean", "rejected"), pseudo(0, "join")],
    ]
    settings = PairSettings(queries_per_document=2, labelled_copies=2)
    chosen = choose_pairs(pairs[:1], rounds, settings, seed=1)
    assert chosen[:2] == [(pairs[0].text, "sort")] * 2
    assert sorted(doc_id for _, doc_id in chosen[2:]) == ["join", "sort", "sort"]


def test_dev_queries_are_searched_among_their_documents_and_others(corpus: list[Document], pairs: list[LabelledPair]) -> None:
    texts = {document.doc_id: document.text for document in corpus}
    alone = choose_dev(pairs[:2], texts, dev_documents=0, seed=1)
    assert alone.pairs == [("q-sort", "sort"), ("q-mean", "mean")]
    assert set(alone.documents) == {"sort", "mean"}
    assert set(choose_dev(pairs[:2], texts, dev_documents=99, seed=1).documents) == set(texts)
