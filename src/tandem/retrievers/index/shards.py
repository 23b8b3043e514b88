"""Vectors of documents on disk: shards of a fixed number of documents, each written whole, read back as memory maps.

A run that was killed goes on behind its last whole shard, and the bytes are those of a run that was not: a shard is encoded by itself.
Memory holds one shard, whatever the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import orjson
import torch
from ir_measures import ScoredDoc
from tqdm import tqdm

from tandem.interfaces import Retriever
from tandem.retrievers.maxsim import rank_by_maxsim
from tandem.retrievers.retriever import both_vectors_of, vectors_of
from tandem.runs import rank_results
from tandem.runtime.distributed import process_rank, world_size

__all__ = ["Shard", "Shards", "encode_shards", "finish_shards", "overlap", "search_shards"]


@dataclass(frozen=True, slots=True)
class Shard:
    """Documents of a shard: their ids, their vectors in half precision (vectors, dimensions), how many each has."""

    doc_ids: list[str]
    vectors: np.ndarray
    lengths: np.ndarray

    def documents(self) -> Sequence[torch.Tensor]:
        """The vectors of each document, (vectors, dimensions), not read before they are used."""
        return torch.split(torch.from_numpy(self.vectors), self.lengths.tolist())


class Shards:
    """The shards of a corpus in a folder, in the order of its documents.

    Args:
        folder: that :func:`encode_shards` filled.

    Raises:
        FileNotFoundError: it is not there, or not finished.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "shards.json").exists():
            raise FileNotFoundError(f"{folder}: no finished vectors in it; encode the corpus again, whole shards are kept")
        found = orjson.loads((folder / "shards.json").read_bytes())
        self.folder, self.number, self.documents = folder, found["shards"], found["documents"]
        self.vectors, self.dimensions = found["vectors"], found["dimensions"]

    def __len__(self) -> int:
        """How many shards."""
        return int(self.number)

    def __getitem__(self, number: int) -> Shard:
        """A shard, its vectors mapped and not read."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        path = self.folder / f"{number:05d}"
        vectors = np.load(path.with_suffix(".npy"), mmap_mode="c")  # never written; torch warns of what could not be
        return Shard(orjson.loads(path.with_suffix(".json").read_bytes()), vectors, np.load(path.with_suffix(".lengths.npy")))

    def __iter__(self) -> Iterator[Shard]:
        """One shard after the other."""
        return (self[number] for number in range(len(self)))

    def doc_ids(self) -> list[str]:
        """All ids, in order."""
        return [doc_id for number in range(len(self)) for doc_id in orjson.loads((self.folder / f"{number:05d}.json").read_bytes())]


def encode_shards(
    model: Retriever, documents: Iterable[tuple[str, str]], folder: Path, *, shard_documents: int, dense_folder: Path | None = None
) -> None:
    """Encode documents into shards; whole ones that are there already stay, so the folder must be of this model and these documents.

    Under a launcher each process encodes every n-th shard; they are those of one process, byte for byte. :func:`finish_shards` comes after.

    Args:
        model: a retriever.
        documents: (doc_id, text), read once and in order; never held but a shard.
        folder: to fill.
        shard_documents: documents of a shard.
        dense_folder: to fill with the dense vectors of a ColBERT of kind ``both``, which the same pass over the encoder gives.
    """
    for made in filter(None, (folder, dense_folder)):
        made.mkdir(parents=True, exist_ok=True)
    if not (folder / "shards.json").exists():
        rows, number = iter(documents), 0
        with tqdm(desc="encoding", unit="document", mininterval=1.0) as bar:
            while batch := list(islice(rows, shard_documents)):
                if number % world_size() == process_rank() and not (folder / f"{number:05d}.json").exists():
                    _encode(model, batch, folder / f"{number:05d}", dense_folder and dense_folder / f"{number:05d}")
                bar.update(len(batch))
                number += 1


def finish_shards(folder: Path) -> Shards:
    """Count what :func:`encode_shards` wrote, in every process, and declare it whole."""
    if not (folder / "shards.json").exists():
        _finish(folder, len(list(folder.glob("[0-9]*.json"))))
    return Shards(folder)


def _encode(model: Retriever, batch: list[tuple[str, str]], path: Path, dense_path: Path | None) -> None:
    """One shard; that of the dense vectors first, for the other says that both are whole."""
    texts = [text for _, text in batch]
    if dense_path is None:
        _write(vectors_of(model, texts, task="document"), batch, path)
        return
    vectors, dense_vectors = both_vectors_of(model, texts, task="document")
    _write(dense_vectors, batch, dense_path)
    _write(vectors, batch, path)


def _write(vectors: list[torch.Tensor], batch: list[tuple[str, str]], path: Path) -> None:
    """The vectors of a shard's documents; its ids come last and say that it is whole."""
    arrays = {".npy": torch.cat(vectors).half().numpy(), ".lengths.npy": np.array([len(tokens) for tokens in vectors], dtype=np.int32)}
    for suffix, array in arrays.items():
        with path.with_suffix(".draft").open("wb") as file:
            np.save(file, array)
        path.with_suffix(".draft").replace(path.with_suffix(suffix))
    path.with_suffix(".draft").write_bytes(orjson.dumps([doc_id for doc_id, _ in batch]))
    path.with_suffix(".draft").replace(path.with_suffix(".json"))


def _finish(folder: Path, number: int) -> None:
    shapes = [np.load(folder / f"{i:05d}.npy", mmap_mode="r").shape for i in range(number)]
    documents = sum(len(np.load(folder / f"{i:05d}.lengths.npy", mmap_mode="r")) for i in range(number))
    dimensions = shapes[0][1] if shapes else 0
    found = {"shards": number, "documents": documents, "vectors": sum(shape[0] for shape in shapes), "dimensions": dimensions}
    (folder / "shards.draft").write_bytes(orjson.dumps(found))
    (folder / "shards.draft").replace(folder / "shards.json")


def search_shards(shards: Shards, queries: Mapping[str, torch.Tensor], *, depth: int) -> list[ScoredDoc]:
    """Rank all documents for each query, exactly; see :func:`tandem.retrievers.maxsim.rank_by_maxsim`.

    Args:
        shards: of the corpus.
        queries: normalised vectors (vectors, dimensions) by query_id.
        depth: results a query at most.
    """
    chunks = (shard.documents() for shard in tqdm(shards, desc="MaxSim", total=len(shards), disable=len(shards) < 2, leave=False))
    return rank_by_maxsim(queries, chunks, shards.doc_ids(), depth=depth)


def overlap(found: Iterable[ScoredDoc], exact: Iterable[ScoredDoc], *, depth: int) -> float:
    """The share of the exact first ``depth`` documents that are among another search's first ``depth``, the mean over queries."""
    first, second = (_first(run, depth) for run in (found, exact))
    shares = [len(first.get(query_id, set()) & doc_ids) / len(doc_ids) for query_id, doc_ids in second.items()]
    return sum(shares) / len(shares) if shares else float("nan")


def _first(run: Iterable[ScoredDoc], depth: int) -> dict[str, set[str]]:
    return {query_id: {item.doc_id for item in items[:depth]} for query_id, items in rank_results(run).items()}
