"""Vectors on disk and indexes of them: exact search is exact, a kill costs a shard, what an index misses is measured."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from makers import retriever_settings
from sentence_transformers import SentenceTransformer

from tandem.retrievers import colbert, dense
from tandem.retrievers.bm25 import BM25Index, BM25Settings
from tandem.retrievers.colbert import build_colbert
from tandem.retrievers.index.building import IndexSettings, VectorIndex, build_index, open_index
from tandem.retrievers.index.faiss_index import FaissSettings, build_faiss
from tandem.retrievers.index.plaid import PlaidSettings, build_plaid
from tandem.retrievers.index.shards import Shards, encode_shards, finish_shards, overlap, search_shards
from tandem.retrievers.retriever import both_vectors_of, build_retriever, save_retriever, search, searcher, vectors_of

WORDS = (
    "sort",
    "order",
    "rows",
    "columns",
    "a",
    "table",
    "by",
    "value",
    "mean",
    "array",
    "merge",
    "lists",
    "plot",
    "line",
    "read",
    "file",
    "text",
)


@pytest.fixture
def documents() -> dict[str, str]:
    random = np.random.default_rng(1)
    return {f"d{i}": " ".join(random.choice(WORDS, size=random.integers(3, 12))) for i in range(300)}


@pytest.fixture
def queries() -> dict[str, str]:
    return {"a": "sort rows of a table by key", "b": "plot a line", "c": "read a text file"}


@pytest.fixture
def late(tiny_encoder: Path) -> object:
    return build_colbert(retriever_settings(tiny_encoder))


def scores(run: object) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for item in run:  # type: ignore[attr-defined]
        found.setdefault(item.query_id, []).append(item.score)
    return found


def built(model: object, documents: dict[str, str], folder: Path, **settings: Any) -> VectorIndex:
    """An index of the documents, opened; its model is the one given, which need not be written."""
    build_index(model, documents, folder / "index", IndexSettings(**settings), scratch=folder / "scratch", seed=1)
    return VectorIndex(folder / "index", Path("none"), model=model)  # type: ignore[arg-type]


def test_a_retriever_of_both_kinds_is_a_colbert_and_a_dense_encoder(
    tiny_encoder: Path, documents: dict[str, str], queries: dict[str, str], tmp_path: Path
) -> None:
    """One pass over the encoder gives the token vectors of the ColBERT and the vectors of the dense encoder, and an index of each."""
    both = build_retriever(retriever_settings(tiny_encoder, kind="both"), seed=1, device="cpu")
    save_retriever(both, tmp_path / "weights")
    build_index(both, documents, tmp_path / "index", IndexSettings(kind="exact", shard_documents=70), scratch=tmp_path / "scratch", seed=1)
    heads = {
        "": build_retriever(retriever_settings(tiny_encoder), seed=1, device="cpu"),
        "dense": build_retriever(retriever_settings(tiny_encoder, kind="dense"), seed=1, device="cpu"),
    }
    for folder, alone in heads.items():
        index = VectorIndex(tmp_path / "index" / folder, tmp_path / "weights")
        expected = search(alone, documents, queries, depth=20)
        assert scores(index.search(queries, depth=20)) == {
            query_id: pytest.approx(values, abs=2e-3) for query_id, values in scores(expected).items()
        }
    in_memory = searcher(both, documents, dense_head=True).search(queries, depth=20)
    assert scores(in_memory) == {
        query_id: pytest.approx(values, abs=1e-5)
        for query_id, values in scores(search(heads["dense"], documents, queries, depth=20)).items()
    }
    with pytest.raises(ValueError, match="no vectors of two kinds"):
        both_vectors_of(heads["dense"], ["a"], task="query")


def test_a_service_that_is_asked_without_end_keeps_so_many_queries(
    late: object, documents: dict[str, str], queries: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = built(late, documents, tmp_path, kind="exact", shard_documents=400)
    expected = index.search(queries, depth=5)
    assert len(index._encoded) == 3
    monkeypatch.setattr("tandem.retrievers.index.building.KEPT_QUERIES", 2)
    assert index.search(queries, depth=5) == expected
    assert index._encoded == {}


def test_an_index_is_searched_as_documents_are(late: object, documents: dict[str, str], queries: dict[str, str], tmp_path: Path) -> None:
    index = built(late, documents, tmp_path, kind="exact", shard_documents=70)
    run = index.search(queries, depth=20)
    expected = colbert.search(late, documents, queries, depth=20)  # type: ignore[arg-type]
    for query_id, values in scores(expected).items():
        assert scores(run)[query_id] == pytest.approx(values, abs=0.02)  # vectors are in half precision
    assert overlap(run, expected, depth=20) > 0.9
    vectors_folder = tmp_path / "index/vectors"
    assert sorted(path.name for path in vectors_folder.glob("*.lengths.npy")) == [f"{i:05d}.lengths.npy" for i in range(5)]
    assert index.measure(queries, depth=20)["index/vectors"] == Shards(vectors_folder).vectors
    assert index.count_vectors(queries) == {name: len(vectors(late, queries)[name]) for name in queries}
    assert not (tmp_path / "scratch/index").exists()


def test_two_processes_write_the_bytes_of_one(
    late: object, documents: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode_shards(late, documents.items(), tmp_path / "one", shard_documents=70)
    finish_shards(tmp_path / "one")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        encode_shards(late, documents.items(), tmp_path / "two", shard_documents=70)
        assert len(list((tmp_path / "two").glob("*.lengths.npy"))) == (3 if rank == "0" else 5)
    finish_shards(tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_an_index_of_bm25_is_read_as_it_was_written(documents: dict[str, str], queries: dict[str, str], tmp_path: Path) -> None:
    index = BM25Index(documents, BM25Settings(k1=1.2, stop_words=False))
    index.save(tmp_path / "first")
    index.save(tmp_path / "second")
    opened = open_index(tmp_path / "first")
    assert opened.search(queries, depth=9) == index.search(queries, depth=9)
    assert opened.settings == index.settings  # type: ignore[attr-defined]
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    with pytest.raises(FileNotFoundError, match=r"no index in it; `dvc repro` \(stage build_index\)"):
        open_index(tmp_path / "none", tmp_path)
    with pytest.raises(FileNotFoundError, match="no BM25 index in it"):
        BM25Index.load(tmp_path / "none")
    empty = BM25Index({"d": "the"})
    empty.save(tmp_path / "empty")
    assert open_index(tmp_path / "empty").search(queries, depth=9) == []


def test_a_dense_encoder_s_exact_and_flat_index_are_its_search(
    tiny_encoder: Path, documents: dict[str, str], queries: dict[str, str], tmp_path: Path
) -> None:
    model = SentenceTransformer(str(tiny_encoder))
    expected = dense.search(model, documents, queries, depth=20)
    for kind in ("exact", "flat"):
        run = built(model, documents, tmp_path / kind, kind=kind, shard_documents=64).search(queries, depth=20)
        for query_id, values in scores(expected).items():
            assert scores(run)[query_id] == pytest.approx(values, abs=2e-3)


@pytest.mark.parametrize("kind", ["hnsw", "ivf_pq"])
def test_approximate_indexes_say_what_they_miss(
    kind: str, tiny_encoder: Path, documents: dict[str, str], queries: dict[str, str], tmp_path: Path
) -> None:
    model = SentenceTransformer(str(tiny_encoder))
    good = FaissSettings(lists=4, probes=4, sub_vectors=16, training_vectors=300)
    poor = FaissSettings(lists=16, probes=1, sub_vectors=2, training_vectors=300, neighbours=2, build_depth=1, search_depth=1)
    recall = {}
    for name, faiss in (("good", good), ("poor", poor)):
        index = built(model, documents, tmp_path / name, kind=kind, faiss=faiss, shard_documents=100)
        exact = search_shards(Shards(tmp_path / name / "index/vectors"), vectors(model, queries), depth=10)
        recall[name] = index.measure(queries, depth=10)["index/recall_at_10"]
        assert recall[name] == pytest.approx(overlap(index.search(queries, depth=10), exact, depth=10))
    assert recall["good"] > 0.6
    assert recall["poor"] < recall["good"]


def vectors(model: object, queries: dict[str, str]) -> dict[str, torch.Tensor]:
    return dict(zip(queries, vectors_of(model, list(queries.values()), task="query"), strict=True))


def test_settings_that_cannot_be_are_named(late: object, tiny_encoder: Path, documents: dict[str, str], tmp_path: Path) -> None:
    def encoded(model: object, name: str) -> Shards:
        encode_shards(model, documents.items(), tmp_path / name, shard_documents=100)
        return finish_shards(tmp_path / name)

    with pytest.raises(ValueError, match="a ColBERT takes plaid"):
        build_faiss(encoded(late, "late"), "hnsw", FaissSettings(), seed=1)
    with pytest.raises(ValueError, match="sub_vectors: 7 found"):
        build_faiss(encoded(SentenceTransformer(str(tiny_encoder)), "dense"), "ivf_pq", FaissSettings(sub_vectors=7), seed=1)
    odd = build_colbert(retriever_settings(tiny_encoder, dimensions=12))
    with pytest.raises(ValueError, match=r"dimensions: 12 found"):
        build_plaid(encoded(odd, "odd"), tmp_path / "p", PlaidSettings(), seed=1)
    with pytest.raises(FileNotFoundError, match="no finished vectors"):
        Shards(tmp_path)


@pytest.mark.parity
@pytest.mark.skipif(shutil.which("c++") is None, reason="colbert-ai compiles C++ when it is first used")
@pytest.mark.timeout(600)
def test_plaid_finds_what_exact_search_finds(late: object, documents: dict[str, str], queries: dict[str, str], tmp_path: Path) -> None:
    wide = PlaidSettings(cells=16, threshold=-1.0, candidates=1200)
    index = built(late, documents, tmp_path, kind="plaid", shard_documents=120, plaid=wide)
    run = index.search(queries, depth=10)
    exact = search_shards(Shards(tmp_path / "index/vectors"), vectors(late, queries), depth=10)
    recall = index.measure(queries, depth=10)["index/recall_at_10"]
    assert recall == pytest.approx(overlap(run, exact, depth=10))
    assert recall > 0.8
    for query_id, values in scores(exact).items():
        assert scores(run)[query_id] == pytest.approx(values, abs=0.3)


@pytest.mark.parity
def test_centroids_are_those_that_colbert_finds() -> None:
    from colbert.indexing.codecs.residual import ResidualCodec

    from tandem.retrievers.index.plaid_indexer import nearest_centroids

    torch.manual_seed(1)
    centroids, vectors = (torch.nn.functional.normalize(torch.randn(n, 16), dim=-1) for n in (50, 1000))
    theirs = ResidualCodec.compress_into_codes(SimpleNamespace(centroids=centroids, use_gpu=False), vectors, "cpu")
    ours = nearest_centroids(centroids)(vectors, "cpu")
    assert ours.dtype == theirs.dtype
    assert torch.equal(ours, theirs)


def encode_many(encoder: Path, folder: Path) -> None:
    model = build_colbert(retriever_settings(encoder))
    documents = [(f"d{i}", "sort the rows of a table " * (1 + i % 5) + str(i)) for i in range(400)]
    encode_shards(model, documents, folder, shard_documents=20)


def test_a_kill_at_any_point_leaves_the_bytes_of_a_whole_run(tiny_encoder: Path, tmp_path: Path) -> None:
    """kill -9 at five moments of encoding, each on the remains of the last; then to the end: every file as if nothing had happened."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tandem.retrievers.index.shards", "tandem.retrievers.colbert"])

    def start(folder: Path) -> Any:
        process = context.Process(target=encode_many, args=(tiny_encoder, folder))
        process.start()
        return process

    def whole(folder: Path) -> int:
        return len(list(folder.glob("[0-9]*[0-9].json")))

    def files(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    seen = []
    for least in (1, 3, 4, 8, 13):
        process = start(tmp_path / "killed")
        while process.is_alive() and whole(tmp_path / "killed") < least:
            time.sleep(0.001)
        process.kill()
        process.join()
        seen.append(whole(tmp_path / "killed"))
    assert not (tmp_path / "killed/shards.json").exists()
    assert 0 < seen[0] < seen[-1] < 20
    for name in ("whole", "killed"):
        process = start(tmp_path / name)
        process.join()
        assert process.exitcode == 0
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
