"""PLAID (Santhanam et al. 2022): colbert-ai's compressed index of token vectors, filled from our shards and searched with our queries.

Nothing of a checkpoint of theirs is needed: vectors come from :mod:`tandem.retrievers.index.shards`, so any of our ColBERTs can be indexed.
Their code needs a C++ compiler when it is first used. An index appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from ir_measures import ScoredDoc

from tandem.retrievers.index.shards import Shards
from tandem.runs import search_depth, without_own
from tandem.runtime.extensions import drop_stale_locks
from tandem.settings import Count, Logit, Settings, Steps

__all__ = ["MINIMUM_VECTORS", "PlaidSettings", "build_plaid", "search_plaid"]

BITS = 8
MINIMUM_VECTORS = 100  # of tokens: colbert-ai holds a twentieth of them out to find the codes of residuals with


class PlaidSettings(Settings):
    """How PLAID trades size and time for recall; null takes colbert-ai's rule for the depth."""

    bits: Literal[1, 2, 4, 8] = 2
    """of a dimension of a residual"""
    partitions: Count | None = None
    """centroids; null takes the power of two below 16 times the root of the number of token vectors"""
    iterations: Steps = 4
    """of k-means"""
    cells: Count | None = None
    """centroids that a query token looks into"""
    threshold: Logit | None = None
    """centroids of a lower score are passed over when candidates are thinned"""
    candidates: Count | None = None
    """documents scored by centroids alone; a quarter of them is scored whole"""


def build_plaid(shards: Shards, folder: Path, settings: PlaidSettings, *, seed: int) -> None:
    """Build the index in a folder; one that is there already stays, so the folder must be of these shards and settings.

    Args:
        shards: of a ColBERT's corpus.
        folder: to make.
        settings: of the index.
        seed: of the sample that centroids are found with, and of k-means.

    Raises:
        ValueError: the dimensions cannot be packed into bytes.
    """
    if shards.dimensions % (BITS * settings.bits):
        raise ValueError(
            f"dimensions: {shards.dimensions} found, PLAID with {settings.bits} bits takes multiples of {BITS * settings.bits}"
        )
    if folder.exists():
        return
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    random.seed(seed)
    torch.manual_seed(seed)
    with _quiet():
        from tandem.retrievers.index.plaid_indexer import ShardIndexer

        ShardIndexer(shards, draft, **settings.model_dump(include={"bits", "partitions", "iterations"}), seed=seed).run(None)
    draft.replace(folder)


def search_plaid(
    folder: Path, shards: Shards, queries: Mapping[str, torch.Tensor], settings: PlaidSettings, *, depth: int
) -> list[ScoredDoc]:
    """The documents that PLAID finds for each query, best first; scores are those of compressed vectors."""
    from colbert.infra import ColBERTConfig
    from colbert.modeling.colbert import ColBERT
    from colbert.search.index_storage import IndexScorer

    cells, threshold, candidates = next(rule[1:] for rule in RULES if depth <= rule[0])
    longest = max((len(query) for query in queries.values()), default=1)
    config = ColBERTConfig(
        ncells=settings.cells or cells,
        centroid_score_threshold=threshold if settings.threshold is None else settings.threshold,
        ndocs=settings.candidates or max(candidates, 4 * depth),
        query_maxlen=longest,
        interaction="colbert",
    )
    drop_stale_locks()
    with _quiet():
        ColBERT.try_load_torch_extensions(torch.cuda.is_available())
        scorer = IndexScorer(str(folder), use_gpu=torch.cuda.is_available())
    doc_ids = shards.doc_ids()
    reach = search_depth(queries, frozenset(doc_ids), depth)
    run = []
    for query_id, vectors in queries.items():
        rows, scores = scorer.rank(config, vectors.unsqueeze(0))
        run += [ScoredDoc(query_id, doc_ids[row], score) for row, score in zip(rows[:reach], scores[:reach], strict=True)]
    return without_own(run, depth=depth)


RULES = ((10, 1, 0.5, 256), (100, 2, 0.45, 1024), (float("inf"), 4, 0.4, 4096))  # depth up to, cells, threshold, candidates: colbert-ai's


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """colbert-ai prints as it goes, and names attributes of torch that are on their way out."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", category=FutureWarning, module="colbert")
        warnings.filterwarnings("ignore", message=".*TypedStorage.*")
        warnings.filterwarnings("ignore", category=ResourceWarning)  # they leave files to be closed by themselves
        yield
