"""A retriever of either kind: built, saved, loaded, searched; BM25 has no vectors."""

from __future__ import annotations

from pathlib import Path

import pytest
from makers import retriever_settings

from tandem.retrievers.bm25 import BM25Settings
from tandem.retrievers.retriever import Lexical, build_retriever, load_retriever, save_retriever, search, vectors_of


@pytest.mark.parametrize(("kind", "count"), [("colbert", 5), ("dense", 1)])
def test_a_retriever_of_either_kind_is_saved_loaded_and_searched(tiny_encoder: Path, tmp_path: Path, kind: str, count: int) -> None:
    model = build_retriever(retriever_settings(tiny_encoder, kind=kind, layers=1), seed=1, device="cpu")
    save_retriever(model, tmp_path / "weights")
    again = load_retriever(tmp_path / "weights")
    documents = {"a": "sort the rows", "b": "draw a line"}
    expected, found = (search(retriever, documents, {"q": "draw a line"}, depth=2) for retriever in (model, again))
    assert [item.doc_id for item in found] == [item.doc_id for item in expected] == ["b", "a"]
    assert [item.score for item in found] == pytest.approx([item.score for item in expected], abs=1e-5)
    (vectors,) = vectors_of(again, ["sort the rows of a"], task="query")
    assert (vectors.norm(dim=-1) - 1).abs().max() < 1e-4
    assert len(vectors) >= count
    with pytest.raises(FileNotFoundError, match="stage train_retriever"):
        load_retriever(tmp_path / "none")


def test_bm25_is_saved_loaded_and_has_no_vectors(tmp_path: Path) -> None:
    save_retriever(Lexical(BM25Settings(k1=1.2), "german"), tmp_path)
    again = load_retriever(tmp_path)
    assert again == Lexical(BM25Settings(k1=1.2), "german")
    with pytest.raises(ValueError, match="Lexical found, which has no vectors"):
        vectors_of(again, ["sort"], task="query")
