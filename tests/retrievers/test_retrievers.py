"""BM25, dense and ColBERT search on tiny real encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import retriever_settings

from tandem.records import Document, LabelledPair
from tandem.retrievers import bm25, colbert, dense
from tandem.retrievers.filter_runs import FilterRuns
from tandem.retrievers.index.building import IndexSettings, VectorIndex, build_index
from tandem.retrievers.retriever import save_retriever
from tandem.runtime.encoders import keep_layers, resolve_encoder


@pytest.fixture
def texts(corpus: list[Document]) -> dict[str, str]:
    return {document.doc_id: document.text for document in corpus}


@pytest.fixture
def queries(pairs: list[LabelledPair]) -> dict[str, str]:
    return {pair.query_id: pair.text for pair in pairs}


def test_bm25_finds_and_leaves_out_what_shares_no_word(texts: dict[str, str]) -> None:
    run = bm25.search(texts, {"q": "linear equations", "none": "zzz"}, depth=6)
    assert next((item.query_id, item.doc_id) for item in run) == ("q", "solve")
    assert all(item.score > 0 for item in run)
    assert "none" not in {item.query_id for item in run}


@pytest.mark.parity
def test_bm25_against_rank_bm25(texts: dict[str, str]) -> None:
    """Lucene's and Okapi's BM25 differ in IDF and a constant, and order the documents of one-word queries alike."""
    from rank_bm25 import BM25Okapi

    plain = bm25.BM25Settings(k1=1.5, b=0.75, stop_words=False, stemming=False)
    reference = BM25Okapi([plain.terms(text, "english") for text in texts.values()], k1=1.5, b=0.75)
    for word in ("table", "time", "array", "points"):
        run = bm25.search(texts, {"q": word}, depth=6, settings=plain)
        scores = reference.get_scores([word])
        found = {doc_id: score for doc_id, score in zip(texts, scores, strict=True) if score != 0}
        assert [item.doc_id for item in run] == sorted(found, key=lambda d: -found[d])


def test_candidate_sets(texts: dict[str, str]) -> None:
    """Own document plus m others, never twice, the same for the same seed; scores are those of the whole corpus."""
    wanted = {f"q{i}": ("sort a table", "sort") for i in range(50)}
    run = bm25.search_candidates(texts, wanted, candidates=2, seed=1)
    by_query: dict[str, list[str]] = {}
    for item in run:
        by_query.setdefault(item.query_id, []).append(item.doc_id)
    assert all(len(own) == len(set(own)) == 3 and own[0] == "sort" for own in by_query.values())
    assert {doc_id for own in by_query.values() for doc_id in own} == set(texts)
    assert bm25.search_candidates(texts, wanted, candidates=2, seed=1) == run
    full = {i.doc_id: i.score for i in bm25.search_candidates(texts, {"q": wanted["q0"]}, candidates=99, seed=1)}
    assert all(item.score == pytest.approx(full[item.doc_id]) for item in run)


def test_the_keep_rate_of_candidate_sets_follows_its_formula() -> None:
    """If r of N documents beat the own one, a draw of m keeps it with probability about (1 - r / N)^m."""
    documents = {f"d{i}": "alpha beta" if i < 30 else "gamma" for i in range(300)}
    documents["own"] = "alpha beta gamma delta epsilon"
    wanted = {f"q{i}": ("alpha beta", "own") for i in range(400)}
    kept = 0
    run = bm25.search_candidates(documents, wanted, candidates=10, seed=3)
    best: dict[str, float] = {}
    own: dict[str, float] = {}
    for item in run:
        if item.doc_id == "own":
            own[item.query_id] = item.score
        else:
            best[item.query_id] = max(best.get(item.query_id, 0.0), item.score)
    kept = sum(own[q] > best[q] for q in wanted)
    assert kept / 400 == pytest.approx((1 - 30 / 300) ** 10, abs=0.07)


def test_dense_search_is_exact_cosine(tiny_encoder: Path, texts: dict[str, str], queries: dict[str, str]) -> None:
    model = dense.load_dense(str(tiny_encoder))
    run = dense.search(model, texts, queries, depth=6)
    vectors = model.encode(list(texts.values()), normalize_embeddings=True)
    wanted = model.encode(list(queries.values()), normalize_embeddings=True)
    expected = wanted @ vectors.T
    for item in run:
        assert item.score == pytest.approx(expected[list(queries).index(item.query_id), list(texts).index(item.doc_id)], abs=1e-5)
    assert len(run) == 36
    assert dense.search(model, texts, {}, depth=3) == []


@pytest.fixture
def late(tiny_encoder: Path) -> Any:
    return colbert.build_colbert(retriever_settings(tiny_encoder), seed=1)


def naive_maxsim(model: Any, query: str, document: str) -> float:
    """Sum over query tokens of the best dot product with a document token, one pair at a time."""
    q, d = model.encode_query([query])[0].numpy(), model.encode_document([document])[0].numpy()
    return float(np.sum(np.max(q @ d.T, axis=1)))


@pytest.mark.parity
def test_colbert_search_equals_pairwise_maxsim(late: Any, texts: dict[str, str], queries: dict[str, str]) -> None:
    run = colbert.search(late, texts, queries, depth=6)
    for item in run:
        assert item.score == pytest.approx(naive_maxsim(late, queries[item.query_id], texts[item.doc_id]), abs=1e-4)
    scores = [item.score for item in run[:6]]
    assert scores == sorted(scores, reverse=True)


def test_chunks_do_not_change_a_run(late: Any, texts: dict[str, str], queries: dict[str, str]) -> None:
    whole = colbert.search(late, texts, queries, depth=3)
    parts = colbert.search(late, texts, queries, depth=3, chunk_documents=2, show_progress=False)
    assert [(i.query_id, i.doc_id) for i in parts] == [(i.query_id, i.doc_id) for i in whole]
    assert [i.score for i in parts] == pytest.approx([i.score for i in whole], abs=1e-5)


def test_colbert_shape_save_and_load(late: Any, texts: dict[str, str], queries: dict[str, str], tmp_path: Path) -> None:
    vectors = late.encode_document([texts["sort"] * 3])[0]
    assert vectors.shape == (12, 16)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(12), atol=1e-4, rtol=0)
    weight = late[1].linear.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(16), atol=1e-5, rtol=0)
    save_retriever(late, tmp_path / "m")
    again = colbert.load_colbert(tmp_path / "m")
    assert colbert.search(again, texts, queries, depth=6) == colbert.search(late, texts, queries, depth=6)
    assert colbert.count_tokens(late, {"q": queries["q-sort"]})["q"] == len(late.encode_query([queries["q-sort"]])[0])
    with pytest.raises(FileNotFoundError, match="train_retriever"):
        colbert.load_colbert(tmp_path / "none")


def test_query_expansion_fills_queries_up(tiny_encoder: Path) -> None:
    model = colbert.build_colbert(retriever_settings(tiny_encoder, query_expansion=True))
    assert model.encode_query(["sort"])[0].shape == (8, 16)


def test_first_layers(tiny_encoder: Path) -> None:
    whole = dense.load_dense(str(tiny_encoder))
    cut = dense.load_dense(str(tiny_encoder), layers=1)
    assert len(cut[0].auto_model.encoder.layer) == cut[0].auto_model.config.num_hidden_layers == 1
    assert len(whole[0].auto_model.encoder.layer) == 2
    with pytest.raises(ValueError, match=r"retriever.layers: 3 found, 1 to 2 allowed"):
        keep_layers(whole[0].auto_model, 3, key="retriever.layers")
    assert Path(resolve_encoder("builtin")).is_dir()


def test_filter_runs(corpus: list[Document], texts: dict[str, str], tiny_encoder: Path, tmp_path: Path) -> None:
    build_index(dense.load_dense(str(tiny_encoder)), texts, tmp_path / "index", IndexSettings(kind="exact"), scratch=tmp_path / "s", seed=1)
    searchers = {"bm25": bm25.BM25Index(texts), "dense": VectorIndex(tmp_path / "index", tiny_encoder)}
    runs = FilterRuns(corpus, searchers, depth=99, candidates=2, seed=1)
    wanted = {"q": ("merge two tables by key", "join")}
    for name in ("bm25", "bm25_sampled", "dense"):
        assert any(item.doc_id == "join" for item in runs.search(name, wanted))
    with pytest.raises(ValueError, match="allowed: bm25, bm25_sampled, dense"):
        runs.search("colbert", wanted)
