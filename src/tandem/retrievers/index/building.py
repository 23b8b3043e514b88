"""Build and open the index of a corpus: BM25's terms, or a retriever's vectors, exact or approximate.

An index is an artefact: a stage builds it once for each weights, and whoever searches opens it. A folder holds ``index.json`` last, which
says that the rest is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import orjson
import torch
from ir_measures import ScoredDoc
from pydantic import model_validator

from tandem.formats.jsonl import write_json
from tandem.interfaces import Searcher
from tandem.retrievers.bm25 import BM25Index
from tandem.retrievers.index.faiss_index import CODES, FaissSettings, build_faiss, load_faiss, save_faiss, search_faiss
from tandem.retrievers.index.plaid import MINIMUM_VECTORS, PlaidSettings, build_plaid, search_plaid
from tandem.retrievers.index.shards import Shards, encode_shards, finish_shards, overlap, search_shards
from tandem.retrievers.retriever import Lexical, Retriever, both_vectors_of, has_dense_head, load_retriever, vectors_of
from tandem.retrievers.settings import Kind as RetrieverKind
from tandem.retrievers.settings import RetrieverSettings
from tandem.runtime.distributed import barrier, init_processes, is_main_process
from tandem.settings import Count, Settings

__all__ = ["BuildSettings", "IndexSettings", "VectorIndex", "build_index", "open_index"]

MANIFEST = "index.json"
KEPT_QUERIES = 10_000  # whose vectors are kept for the next search: a service is asked without end
DENSE = "dense"  # folder, inside the index of a retriever of kind both, of that of its dense vectors
Kind = Literal["exact", "plaid", "flat", "hnsw", "ivf_pq"]
SUITED: dict[RetrieverKind, tuple[Kind, ...]] = {
    "colbert": ("exact", "plaid"),
    "dense": ("exact", "flat", "hnsw", "ivf_pq"),
    "both": ("exact", "plaid"),
}
"""kinds of index by the kind of retriever"""


class IndexSettings(Settings):
    """Which index is built of a retriever's vectors, and how."""

    kind: Kind
    """exact: all vectors are scored; plaid: of a ColBERT; flat (exact), hnsw, ivf_pq: of a dense encoder"""
    shard_documents: Count = 10_000
    """documents held as vectors at once, and those that a kill can cost"""
    plaid: PlaidSettings = PlaidSettings()
    faiss: FaissSettings = FaissSettings()


class BuildSettings(IndexSettings):
    """Which index is built of the rounds' retriever."""

    retriever: RetrieverSettings
    """of the rounds, whose form the kind of index has to suit"""

    @model_validator(mode="after")
    def _suits_the_retriever(self) -> Self:
        if self.kind not in (allowed := SUITED[self.retriever.kind]):
            raise ValueError(f"kind: {self.kind!r} found, a {self.retriever.kind} retriever takes {', '.join(allowed)}")
        return self


def build_index(model: Retriever, documents: Mapping[str, str], folder: Path, settings: IndexSettings, *, scratch: Path, seed: int) -> None:
    """Index a corpus for a retriever, whole or not at all; under a launcher each process encodes its shards.

    Args:
        model: the retriever; BM25 has an index of another form.
        documents: text by doc_id, read in order, once.
        folder: to write.
        settings: of the index; a corpus that is too small for its kind, or a model of the other form, is indexed exactly.
        scratch: unfinished work of the same model, documents and settings, shared by all processes.
        seed: of what an approximate index draws.
    """
    if isinstance(model, Lexical):
        if is_main_process():
            model.index(documents).save(folder)
        return
    init_processes()
    draft = scratch / "index"
    dense_folder = draft / DENSE / "vectors" if has_dense_head(model) else None
    encode_shards(model, documents.items(), draft / "vectors", shard_documents=settings.shard_documents, dense_folder=dense_folder)
    barrier()
    if not is_main_process():
        return
    if dense_folder:
        dense_shards = finish_shards(dense_folder)
        _write_manifest(draft / DENSE, dense_shards, settings, kind="exact", dense_head=True)
    shards = finish_shards(draft / "vectors")
    kind: Kind = settings.kind if _suits(shards, settings.kind) else "exact"
    if kind == "plaid":
        build_plaid(shards, draft / "plaid", settings.plaid, seed=seed)
    elif kind != "exact":
        save_faiss(build_faiss(shards, kind, settings.faiss, seed=seed), draft / "faiss.index")
    _write_manifest(draft, shards, settings, kind=kind)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def _write_manifest(folder: Path, shards: Shards, settings: IndexSettings, *, kind: Kind, dense_head: bool = False) -> None:
    """Say what an index is of; ``head`` stands there where its vectors are the dense ones of a retriever that has both."""
    sizes = {"documents": shards.documents, "vectors": shards.vectors, **({"head": DENSE} if dense_head else {})}
    write_json(folder / MANIFEST, {"kind": kind, "settings": settings.model_dump(include=set(IndexSettings.model_fields)), **sizes})


def _suits(shards: Shards, kind: Kind) -> bool:
    """Whether an index is for such vectors, one a document or many, and has enough of them to learn its codes from."""
    several = shards.vectors > shards.documents
    if kind == "plaid":
        return several and int(shards.vectors) >= MINIMUM_VECTORS
    if kind == "ivf_pq":
        return not several and int(shards.documents) >= CODES
    return not several and int(shards.documents) > 0


def open_index(folder: Path, weights: Path | None = None, *, device: str = "cpu", model: Retriever | None = None) -> Searcher:
    """Open an index for searching; the model that encodes queries is loaded when the first is asked.

    Args:
        folder: that :func:`build_index` wrote.
        weights: of the retriever that it was built for; BM25 needs none.
        device: of the model.
        model: the retriever itself, where it is loaded already.

    Raises:
        FileNotFoundError: there is no whole index.
    """
    if BM25Index.is_saved(folder):
        return BM25Index.load(folder)
    if not (folder / MANIFEST).is_file() or weights is None:
        raise FileNotFoundError(f"{folder}: no index in it; `dvc repro` (stage build_index) or `dvc pull` makes one")
    return VectorIndex(folder, weights, device=device, model=model)


class VectorIndex:
    """The vectors of a corpus, and the retriever that encodes queries for them.

    Args:
        folder: of the index.
        weights: of the retriever.
        device: of the retriever.
        model: the retriever itself, where it is loaded already.
    """

    def __init__(self, folder: Path, weights: Path, *, device: str = "cpu", model: Retriever | None = None) -> None:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
        self.folder, self.weights, self.device = folder, weights, device
        self.kind: Kind = manifest["kind"]
        self.dense_head = manifest.get("head") == DENSE
        self.settings = IndexSettings.model_validate_json(orjson.dumps(manifest["settings"]))
        self.shards = Shards(folder / "vectors")
        self._model = model
        self._encoded: dict[str, torch.Tensor] = {}

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank the corpus for each query, given as text by query_id; the document of the query's id is left out."""
        vectors = self.encode(queries)
        if not vectors:
            return []
        if self.kind == "exact":
            return search_shards(self.shards, vectors, depth=depth)
        if self.kind == "plaid":
            return search_plaid(self.folder / "plaid", self.shards, vectors, self.settings.plaid, depth=depth)
        return search_faiss(self._faiss, self.shards, vectors, depth=depth)

    @cached_property
    def _faiss(self) -> Any:
        return load_faiss(self.folder / "faiss.index", self.kind, self.settings.faiss)

    def encode(self, queries: Mapping[str, str]) -> dict[str, torch.Tensor]:
        """The normalised vectors of each query, (vectors, dimensions), by query_id."""
        texts = list(dict.fromkeys(text for text in queries.values() if text not in self._encoded))
        if texts:
            if self._model is None:
                self._model = load_retriever(self.weights, device=self.device)
            if self.dense_head:
                vectors = both_vectors_of(self._model, texts, task="query")[1]
            else:
                vectors = vectors_of(self._model, texts, task="query")
            self._encoded |= dict(zip(texts, vectors, strict=True))
        encoded = {query_id: self._encoded[text] for query_id, text in queries.items()}
        if len(self._encoded) > KEPT_QUERIES:
            self._encoded.clear()
        return encoded

    def count_vectors(self, queries: Mapping[str, str]) -> dict[str, int]:
        """How many vectors each query has: what its score is a sum over."""
        return {query_id: len(vectors) for query_id, vectors in self.encode(queries).items()}

    def measure(self, queries: Mapping[str, str], *, depth: int) -> dict[str, float]:
        """What an approximate index costs and misses: its bytes, and the share of the exact first 10 and 100 documents that it finds."""
        sizes = [path.stat().st_size for path in self.folder.rglob("*") if path.is_file()]
        measures = {"index/bytes": float(sum(sizes)), "index/vectors": float(self.shards.vectors)}
        if self.kind in ("exact", "flat") or not queries:
            return measures
        exact = search_shards(self.shards, self.encode(queries), depth=depth)
        approximate = self.search(queries, depth=depth)
        return measures | {f"index/recall_at_{k}": overlap(approximate, exact, depth=k) for k in (10, 100) if k <= depth}
