"""BM25 and the zero-shot encoder on real collections: the figures of their README within .01. Skipped where they are absent."""

from __future__ import annotations

import pytest
from conftest import shared_data

from tandem.corpora.beir import load_folder
from tandem.evaluation.measures import mean_measures, per_query
from tandem.formats.beir import to_queries
from tandem.records import document_text
from tandem.retrievers import bm25, dense

FIGURES = {"scifact": (0.678, 0.649), "msmarco-7k": (0.898, 0.979)}


def load(name: str) -> tuple[dict[str, str], dict[str, str], list[object]]:
    collection = load_folder(shared_data(name))
    queries, qrels = to_queries(list(collection.test))
    texts = {document.doc_id: document_text(document) for document in collection.documents}
    return texts, {query.query_id: query.text for query in queries}, list(qrels)


@pytest.mark.parametrize("name", FIGURES)
def test_bm25(name: str) -> None:
    documents, queries, qrels = load(name)
    run = bm25.search(documents, queries, depth=100)
    assert mean_measures(per_query(qrels, run))["ndcg_at_10"] == pytest.approx(FIGURES[name][0], abs=0.01)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FIGURES)
def test_zero_shot_encoder(name: str) -> None:
    documents, queries, qrels = load(name)
    run = dense.search(dense.load_dense("builtin", max_length=256), documents, queries, depth=100)
    assert mean_measures(per_query(qrels, run))["ndcg_at_10"] == pytest.approx(FIGURES[name][1], abs=0.01)  # type: ignore[arg-type]
