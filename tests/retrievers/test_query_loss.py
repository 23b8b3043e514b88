"""The loss of a query under a frozen retriever, against its formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from makers import retriever_settings

from tandem.formats.corpus import Corpus
from tandem.records import Document, PseudoQuery
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.query_loss import QueryLoss, QueryLossSettings
from tandem.retrievers.retriever import build_retriever, search


def rows(corpus: Sequence[Document]) -> list[PseudoQuery]:
    texts = {"sort": "order a table by a column", "plot": "draw a line chart", "mean": "average of an array"}
    return [PseudoQuery(query_id=f"q-{doc_id}", text=text, doc_id=doc_id) for doc_id, text in texts.items() if doc_id]


@pytest.mark.parametrize("kind", ["colbert", "dense"])
def test_the_loss_is_that_of_the_formula(corpus: list[Document], tiny_encoder: Path, kind: str) -> None:
    """With six documents every draw of sixteen negatives is all five others, so the loss can be had from the scores of a search."""
    model = build_retriever(retriever_settings(tiny_encoder, kind=kind), seed=1, device="cpu")
    temperature = 0.5
    settings, bm25 = QueryLossSettings(negatives=16, temperature=temperature), BM25Index(Corpus.of(corpus).texts)
    found = QueryLoss(model, bm25, corpus, settings, seed=3).losses(rows(corpus))
    texts = {document.doc_id: document.text for document in corpus}
    for row, loss in zip(rows(corpus), found, strict=True):
        scores = {item.doc_id: item.score / temperature for item in search(model, texts, {"q": row.text}, depth=6)}
        expected = math.log(sum(math.exp(score) for score in scores.values())) - scores[row.doc_id]
        assert loss == pytest.approx(expected, abs=1e-3)


def test_draws_are_seeded_and_leave_duplicates_out(tiny_encoder: Path) -> None:
    corpus = [Document(doc_id=f"d{i}", text=f"sort the rows {i}", group="g" if i < 3 else "") for i in range(40)]
    model = build_retriever(retriever_settings(tiny_encoder), seed=1, device="cpu")
    loss = QueryLoss(model, BM25Index(Corpus.of(corpus).texts), corpus, QueryLossSettings(negatives=6, temperature=1.0), seed=1)
    row = PseudoQuery(query_id="q", text="sort", doc_id="d0")
    ranked = [f"d{i}" for i in range(40)]
    first, second = loss._draw(row, ranked, 0), loss._draw(row, ranked, 1)
    assert first == loss._draw(row, ranked, 0) != second
    assert len(set(first)) == 6
    assert not {"d0", "d1", "d2"} & {*first, *second}
    assert len([doc_id for doc_id in first if int(doc_id[1:]) >= 29]) >= 3  # from rank 30 on
