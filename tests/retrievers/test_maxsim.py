"""The exact ranking by hand: sums of best products, chunks, one vector each, ties, and the document that a query is."""

from __future__ import annotations

import pytest
import torch
from ir_measures import ScoredDoc

from tandem.retrievers.maxsim import rank_by_maxsim

EAST, NORTH, BETWEEN = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.6, 0.8])
DOCUMENTS = {"east": torch.stack([EAST]), "both": torch.stack([EAST, NORTH]), "between": torch.stack([BETWEEN, BETWEEN, EAST])}


def test_each_vector_of_a_query_counts_with_its_best_product() -> None:
    """East and north: 1 + 0, 1 + 1, and 1 + .8; in chunks of one document too, and of half precision."""
    queries, doc_ids = {"q": torch.stack([EAST, NORTH])}, list(DOCUMENTS)
    expected = [("both", 2.0), ("between", 1.8), ("east", 1.0)]
    for chunks in ([[*DOCUMENTS.values()]], [[vectors] for vectors in DOCUMENTS.values()]):
        run = rank_by_maxsim(queries, chunks, doc_ids, depth=3)
        assert [(item.doc_id, item.score) for item in run] == [(name, pytest.approx(score)) for name, score in expected]
    run = rank_by_maxsim(queries, [[vectors.half() for vectors in DOCUMENTS.values()]], doc_ids, depth=2)
    assert [(item.doc_id, item.score) for item in run] == [("both", 2.0), ("between", pytest.approx(1.8, abs=1e-3))]


def test_many_documents_of_many_lengths_are_each_scored_as_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    documents = [torch.randn(1 + i * 7 % 23, 4, generator=generator) for i in range(600)]
    queries = {f"q{i}": torch.randn(2 + i, 4, generator=generator) for i in range(3)}
    run = rank_by_maxsim(queries, [documents[:350], documents[350:]], [f"d{i}" for i in range(600)], depth=600)
    scores = {(item.query_id, item.doc_id): item.score for item in run}
    for query_id, query in queries.items():
        for i in range(0, 600, 37):
            assert scores[query_id, f"d{i}"] == pytest.approx(float((query @ documents[i].T).max(1).values.sum()), abs=1e-4)


def test_one_vector_each_is_an_inner_product_and_ties_keep_the_order() -> None:
    documents = [torch.stack([vector]) for vector in (NORTH, EAST, EAST, BETWEEN)]
    run = rank_by_maxsim({"q": torch.stack([EAST])}, [documents[:2], documents[2:]], ["n", "e1", "e2", "b"], depth=3)
    assert run == [ScoredDoc("q", "e1", 1.0), ScoredDoc("q", "e2", 1.0), ScoredDoc("q", "b", pytest.approx(0.6))]


def test_a_query_does_not_find_itself_and_still_gets_its_depth() -> None:
    documents = [torch.stack([vector]) for vector in (NORTH, EAST, BETWEEN)]
    run = rank_by_maxsim({"e": torch.stack([EAST]), "q": torch.stack([EAST])}, [documents], ["n", "e", "b"], depth=2)
    assert [(item.query_id, item.doc_id) for item in run] == [("e", "b"), ("e", "n"), ("q", "e"), ("q", "b")]
