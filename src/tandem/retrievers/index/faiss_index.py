"""Approximate search of dense vectors: faiss's HNSW graph and IVF-PQ lists, filled shard by shard; on the GPU where faiss has one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import torch
from ir_measures import ScoredDoc
from pydantic import Field

from tandem.retrievers.index.shards import Shards
from tandem.runs import search_depth, without_own
from tandem.settings import Count, Depth, Settings

__all__ = ["CODES", "FaissSettings", "build_faiss", "load_faiss", "save_faiss", "search_faiss"]

CODES = 256  # of a sub-vector: a byte


class FaissSettings(Settings):
    """How a faiss index trades size and time for recall; see faiss's documentation of each."""

    neighbours: int = Field(default=32, ge=2, le=1024)
    """hnsw: edges of a node (M)"""
    build_depth: Depth = 200
    """hnsw: candidates when a node is put in (efConstruction)"""
    search_depth: Depth = 200
    """hnsw: candidates of a search (efSearch), at least the depth of the search"""
    lists: Count | None = None
    """ivf_pq: cells; null takes 4 times the root of the number of documents"""
    sub_vectors: Depth = 64
    """ivf_pq: bytes a vector; divides the dimensions"""
    probes: Count = 32
    """ivf_pq: cells that a search looks into"""
    training_vectors: int = Field(default=200_000, ge=CODES, le=1_000_000_000)
    """ivf_pq: drawn by seed to find cells and codes with"""


def build_faiss(shards: Shards, kind: Literal["flat", "hnsw", "ivf_pq"], settings: FaissSettings, *, seed: int) -> Any:
    """An index of all documents by inner product; ``flat`` is exact and holds every vector.

    Raises:
        ValueError: the documents have several vectors each, or ``sub_vectors`` does not divide the dimensions.
    """
    if shards.vectors != shards.documents:
        raise ValueError(f"kind: {kind} is for dense encoders, one vector a document; a ColBERT takes plaid or exact")
    index = _empty(shards, kind, settings)
    if not index.is_trained:
        index.train(_sample(shards, settings.training_vectors, seed))
    if _on_gpu(kind):
        index = faiss.index_cpu_to_all_gpus(index)
    for shard in shards:
        index.add(shard.vectors.astype(np.float32))
    return index


def _on_gpu(kind: str) -> bool:
    return bool(faiss.get_num_gpus()) and kind != "hnsw"  # faiss builds graphs on the processor alone


def save_faiss(index: Any, path: Path) -> None:
    """Write an index to a file."""
    faiss.write_index(faiss.index_gpu_to_cpu(index) if faiss.get_num_gpus() and not hasattr(index, "hnsw") else index, str(path))


def load_faiss(path: Path, kind: str, settings: FaissSettings) -> Any:
    """Read an index from its file, ready to search as the settings say."""
    index: Any = faiss.read_index(str(path))
    if kind == "hnsw":
        index.hnsw.efSearch = settings.search_depth
    if kind == "ivf_pq":
        index.nprobe = settings.probes
    return faiss.index_cpu_to_all_gpus(index) if _on_gpu(kind) else index


def search_faiss(index: Any, shards: Shards, queries: Mapping[str, torch.Tensor], *, depth: int) -> list[ScoredDoc]:
    """The documents that the index finds for each query, best first; see :func:`tandem.retrievers.index.shards.search_shards`."""
    if not queries:
        return []
    doc_ids = shards.doc_ids()
    reach = min(search_depth(queries, frozenset(doc_ids), depth), len(doc_ids))
    scores, rows = index.search(torch.cat(list(queries.values())).numpy(), reach)
    run = (
        ScoredDoc(query_id, doc_ids[row], float(score))
        for query_id, own_rows, own_scores in zip(queries, rows.tolist(), scores, strict=True)
        for row, score in zip(own_rows, own_scores, strict=True)
        if row >= 0  # too few were found
    )
    return without_own(run, depth=depth)


def _empty(shards: Shards, kind: str, settings: FaissSettings) -> Any:
    size, metric = shards.dimensions, faiss.METRIC_INNER_PRODUCT
    if kind == "flat":
        return faiss.IndexFlatIP(size)
    if kind == "hnsw":
        index: Any = faiss.IndexHNSWFlat(size, settings.neighbours, metric)
        index.hnsw.efConstruction = settings.build_depth
        return index
    if shards.documents < CODES:
        raise ValueError(
            f"kind: ivf_pq found, which learns {CODES} codes from at least as many documents, and the corpus "
            f"has {shards.documents}; "
            "flat is exact, and small here"
        )
    if size % settings.sub_vectors:
        raise ValueError(f"sub_vectors: {settings.sub_vectors} found, it must divide the {size} dimensions")
    lists = settings.lists or max(int(4 * shards.documents**0.5), 1)
    index = faiss.index_factory(size, f"IVF{min(lists, shards.documents)},PQ{settings.sub_vectors}x8", metric)
    index.nprobe = settings.probes
    index.do_polysemous_training = False  # ten seconds a sub-vector, for a filter by Hamming distance that nothing here uses
    return index


def _sample(shards: Shards, number: int, seed: int) -> np.ndarray:
    """Vectors drawn evenly from all shards."""
    share = min(number / max(shards.vectors, 1), 1.0)
    random = np.random.default_rng(seed)
    parts = []
    for shard in shards:
        rows = np.sort(random.choice(len(shard.vectors), round(share * len(shard.vectors)), replace=False))
        parts.append(shard.vectors[rows].astype(np.float32))
    return np.concatenate(parts)
