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
    settings = PairSettings(queries_per_document=2, labelled_copies=2, dev_pseudo_queries=1)
    chosen, held_out = choose_pairs(pairs[:1], rounds, settings, held_out=0, seed=1)
    assert chosen[:2] == [(pairs[0].text, "sort")] * 2
    assert sorted(doc_id for _, doc_id in chosen[2:]) == ["join", "sort", "sort"]
    assert held_out == []
    chosen, held_out = choose_pairs([], rounds, settings, held_out=1, seed=1)
    assert {row.doc_id for row in held_out} | {doc_id for _, doc_id in chosen} == {"sort", "join"}
    assert not {row.doc_id for row in held_out} & {doc_id for _, doc_id in chosen}


def test_dev_is_labelled_or_made_of_pseudo_queries(corpus: list[Document], pairs: list[LabelledPair]) -> None:
    texts = {document.doc_id: document.text for document in corpus}
    labelled = choose_dev(pairs[:2], [pseudo(0, "join")], texts, dev_documents=0, seed=1)
    assert labelled.pairs == [("q-sort", "sort"), ("q-mean", "mean")]
    assert set(labelled.documents) == {"sort", "mean"}
    unlabelled = choose_dev([], [pseudo(0, "join")], texts, dev_documents=99, seed=1)
    assert unlabelled.pairs == [("join0", "join")]
    assert set(unlabelled.documents) == set(texts)
