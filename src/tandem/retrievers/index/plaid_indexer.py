"""colbert-ai's indexer, fed from our shards; importing it imports colbert-ai."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from colbert.indexing.collection_indexer import CollectionIndexer
from colbert.indexing.index_saver import IndexSaver
from colbert.infra import ColBERTConfig

from tandem.retrievers.index.shards import Shards

__all__ = ["ShardIndexer", "nearest_centroids"]


class _Collection:
    """The documents of shards as colbert-ai counts them: chunk i is shard i."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards

    def __len__(self) -> int:
        return int(self.shards.documents)

    def get_chunksize(self) -> int:
        return len(self.shards[0].doc_ids)

    def enumerate_batches(self, rank: int) -> Iterator[tuple[int, int, int]]:  # noqa: ARG002 - one process builds
        offset = 0
        for number in range(len(self.shards)):
            yield number, offset, number
            offset += len(self.shards[number].doc_ids)


class _Encoder:
    """Takes vectors from shards where colbert-ai would compute them."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards

    def encode_passages(self, number: int) -> tuple[torch.Tensor, list[int]]:
        shard = self.shards[number]
        vectors = torch.from_numpy(np.array(shard.vectors))
        return vectors if torch.cuda.is_available() else vectors.float(), shard.lengths.tolist()


def nearest_centroids(centroids: torch.Tensor) -> Callable[[torch.Tensor, Any], torch.Tensor]:
    """A function that gives each vector the number of its nearest centroid, on the device asked for.

    colbert-ai multiplies two gigabytes of products out on a CPU before it looks for the maxima; faiss keeps to its cache, and is ten times
    as fast (benchmarks/plaid_codes.py).
    """
    flat = faiss.IndexFlatIP(centroids.shape[1])
    flat.add(centroids.float().numpy())

    def nearest(vectors: torch.Tensor, out_device: Any) -> torch.Tensor:
        return torch.from_numpy(flat.search(vectors.float().numpy(), 1)[1][:, 0]).to(out_device)

    return nearest


class _Saver(IndexSaver):
    """Theirs, with our search for centroids where there is no GPU."""

    def load_codec(self) -> Any:
        codec = super().load_codec()
        if not codec.use_gpu:
            codec.compress_into_codes = nearest_centroids(codec.centroids)
        return codec


class ShardIndexer(CollectionIndexer):
    """Theirs, with vectors from shards and a sample drawn by seed."""

    def __init__(self, shards: Shards, folder: Path, *, bits: int, partitions: int | None, iterations: int, seed: int) -> None:
        self.config = ColBERTConfig(
            root=str(folder.parent),
            index_path=str(folder),
            dim=shards.dimensions,
            nbits=bits,
            kmeans_niters=iterations,
            rank=0,
            nranks=1,
            avoid_fork_if_possible=True,
        )
        self.verbose, self.rank, self.nranks = 0, 0, 1
        self.use_gpu = torch.cuda.is_available()
        self.collection, self.encoder, self.saver = _Collection(shards), _Encoder(shards), _Saver(self.config)
        self.shards, self.partitions, self.seed = shards, partitions, seed

    def _sample_embeddings(self, sampled: set[int]) -> float:
        """Token vectors of the sampled documents, shard by shard, in a file; and the mean length of documents."""
        parts, offset = [], 0
        for shard in self.shards:
            ends = np.cumsum(shard.lengths)
            chosen = [i for i in range(len(shard.doc_ids)) if offset + i in sampled]
            parts += [torch.from_numpy(np.array(shard.vectors[ends[i] - shard.lengths[i] : ends[i]])) for i in chosen]
            offset += len(shard.doc_ids)
        vectors = torch.cat(parts)
        self.num_sample_embs = torch.tensor([len(vectors)])
        torch.save(vectors.half(), Path(self.config.index_path) / "sample.0.pt")
        self.avg_doclen_est = self.shards.vectors / self.shards.documents
        return float(self.avg_doclen_est)

    def _train_kmeans(self, sample: torch.Tensor, shared_lists: Any) -> torch.Tensor:  # noqa: ARG002 - theirs
        """Centroids by seed, and without a word."""
        means = faiss.Kmeans(sample.shape[1], self.num_partitions, niter=self.config.kmeans_niters, gpu=self.use_gpu, seed=self.seed)
        means.cp.min_points_per_centroid = 1  # it would warn of small corpora
        means.train(sample.float().numpy())
        centroids = torch.nn.functional.normalize(torch.from_numpy(means.centroids), dim=-1)
        return centroids.half() if self.use_gpu else centroids

    def _save_plan(self) -> None:
        if self.partitions is not None:
            self.num_partitions = self.partitions
        # Every centroid needs some vectors to be found with.
        self.num_partitions = max(min(self.num_partitions, int(self.num_sample_embs) // 2), 1)
        super()._save_plan()
