"""Searching a corpus through vectors on disk and an index of them; what an approximate index misses is measured, not assumed."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from ir_measures import ScoredDoc

from tandem.retrievers.faiss_index import CODES, FaissSettings, build_faiss, search_faiss
from tandem.retrievers.plaid import MINIMUM_VECTORS, PlaidSettings, build_plaid, search_plaid
from tandem.retrievers.retriever import vectors_of
from tandem.retrievers.shards import Shards, encode_shards, overlap, search_shards
from tandem.settings import Count, CountOrZero, Settings

__all__ = ["IndexSettings", "search_indexed", "search_logged"]


class IndexSettings(Settings):
    """Which index, and how it is built; ``exact`` has none and encodes the corpus chunk by chunk without keeping it."""

    kind: Literal["exact", "shards", "plaid", "flat", "hnsw", "ivf_pq"]
    """shards: exact, with vectors kept on disk; plaid: of a ColBERT; flat (exact), hnsw, ivf_pq: of a dense encoder"""
    shard_documents: Count = 10_000
    """documents held as vectors at once, and those that a kill can cost"""
    check_queries: CountOrZero = 100
    """drawn by seed, searched exactly as well: recall is the share of the exact first 10 and 100 that the index finds"""
    plaid: PlaidSettings = PlaidSettings()
    faiss: FaissSettings = FaissSettings()


def search_indexed(
    model: Any, documents: Mapping[str, str], queries: Mapping[str, str], *, depth: int, settings: IndexSettings, folder: Path, seed: int
) -> tuple[list[ScoredDoc], dict[str, float]]:
    """Encode a corpus to disk, index it, search it, and measure the index against exact search.

    Args:
        model: a retriever.
        documents: text by doc_id; read in order, once, and never held as vectors but a shard.
        queries: text by query_id.
        depth: results a query at most.
        settings: of the index; a corpus that is too small for it is searched exactly.
        folder: for vectors and index, of this model and these documents alone; what is there and whole stays.
        seed: of samples.

    Returns:
        The run, and ``index/...``: seconds, queries a second, bytes on disk, recall against exact search.
    """
    clock = _Clock()
    shards = encode_shards(model, documents.items(), folder / "vectors", shard_documents=settings.shard_documents)
    measures = {"index/encode_seconds": clock.lap(), "index/vectors": float(shards.vectors)}
    wanted = dict(zip(queries, vectors_of(model, list(queries.values()), task="query"), strict=True))
    run, own = _search(shards, wanted, depth=depth, settings=settings, folder=folder, seed=seed)
    measures |= own
    exact = settings.kind in ("shards", "flat")
    if settings.check_queries and not exact:
        names = sorted(random.Random(seed).sample(sorted(wanted), min(settings.check_queries, len(wanted))))
        reference = search_shards(shards, {name: wanted[name] for name in names}, depth=depth)
        measures |= {f"index/recall_at_{k}": overlap(run, reference, depth=k) for k in (10, 100) if k <= depth}
    measures["index/bytes"] = float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
    return run, measures


def _search(
    shards: Shards, queries: Mapping[str, torch.Tensor], *, depth: int, settings: IndexSettings, folder: Path, seed: int
) -> tuple[list[ScoredDoc], dict[str, float]]:
    clock = _Clock()
    if settings.kind == "shards" or not _large_enough(shards, settings.kind):
        run = search_shards(shards, queries, depth=depth)
        return run, {"index/queries_per_second": len(queries) / clock.lap()}
    if settings.kind == "plaid":
        build_plaid(shards, folder / "plaid", settings.plaid, seed=seed)
        built = clock.lap()
        run = search_plaid(folder / "plaid", shards, queries, settings.plaid, depth=depth)
    else:
        if settings.kind not in ("flat", "hnsw", "ivf_pq"):
            raise ValueError(f"evaluate_retriever.index.kind: {settings.kind} has no index; search the documents themselves")
        index = build_faiss(shards, settings.kind, settings.faiss, seed=seed)
        built = clock.lap()
        run = search_faiss(index, shards, queries, depth=depth)
    return run, {"index/build_seconds": built, "index/queries_per_second": len(queries) / clock.lap()}


def _large_enough(shards: Shards, kind: str) -> bool:
    """Whether there is enough to build an index from; a guard collection that is too small for the corpus's index is searched exactly."""
    if kind == "ivf_pq":
        return int(shards.documents) >= CODES
    if kind == "plaid":
        return int(shards.vectors) >= MINIMUM_VECTORS
    return int(shards.documents) > 0


def search_logged(
    model: Any,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    *,
    folder: Path,
    log: Callable[[dict[str, float]], None],
    **settings: Any,
) -> list[ScoredDoc]:
    """The run of :func:`search_indexed` from a folder of this corpus's own; its measures go to ``log``."""
    digest = hashlib.sha256("\n".join(documents).encode()).hexdigest()[:12]
    run, measures = search_indexed(model, documents, queries, folder=folder / digest, **settings)
    log(measures)
    return run


class _Clock:
    def __init__(self) -> None:
        self.started = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self.started = self.started, time.perf_counter()
        return max(self.started - before, 1e-9)
