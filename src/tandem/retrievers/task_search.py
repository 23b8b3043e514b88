"""Search for queries of tasks: over the keys of the task's corpus, or over the candidates that a query brings itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import faiss
import numpy as np
from ir_measures import ScoredDoc
from sentence_transformers import SentenceTransformer

from tandem.interfaces import Searcher
from tandem.records import TaskQuery
from tandem.retrievers.bm25 import LexicalSettings
from tandem.retrievers.task_encoder import TaskEncoderSettings, build_task_encoder, encode_texts, load_task_encoder
from tandem.retrievers.task_negatives import corpus_of

__all__ = ["BM25Tasks", "EncoderTasks", "TaskSearch", "open_task_systems", "rank_task"]


class TaskSearch(Protocol):
    """A retriever as tasks use it."""

    def index(self, task: str, keys: Sequence[str]) -> Searcher:
        """A search of a task's keys, by place."""
        ...

    def scores(self, task: str, queries: Sequence[str], keys: Sequence[Sequence[str]]) -> list[list[float]]:
        """The score of each query's own keys, in their order; nothing is said of other queries' keys."""
        ...


class EncoderTasks:
    """A dense encoder with instructions."""

    def __init__(self, model: SentenceTransformer) -> None:
        self.model = model

    def index(self, task: str, keys: Sequence[str]) -> Searcher:
        """All keys encoded, searched exactly."""
        return _Vectors(self.model, task, encode_texts(self.model, keys, task, "key"))

    def scores(self, task: str, queries: Sequence[str], keys: Sequence[Sequence[str]]) -> list[list[float]]:
        """Similarities; a text that several queries have is encoded once."""
        texts = list(dict.fromkeys(key for candidates in keys for key in candidates))
        if not texts:
            return [[] for _ in queries]
        vectors = dict(zip(texts, encode_texts(self.model, texts, task, "key"), strict=True))
        asked = encode_texts(self.model, queries, task, "query")
        return [[float(vectors[key] @ query) for key in candidates] for query, candidates in zip(asked, keys, strict=True)]


class _Vectors:
    """Keys of one task as vectors, by place."""

    def __init__(self, model: SentenceTransformer, task: str, vectors: np.ndarray) -> None:
        self.model, self.task, self.number = model, task, len(vectors)
        self.faiss = faiss.IndexFlatIP(vectors.shape[1])
        self.faiss.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank all keys for each query, exactly."""
        if not queries:
            return []
        asked = encode_texts(self.model, list(queries.values()), self.task, "query")
        scores, places = self.faiss.search(np.ascontiguousarray(asked, dtype=np.float32), min(depth, self.number))
        return [
            ScoredDoc(query_id, str(place), float(score))
            for query_id, row, row_scores in zip(queries, places, scores, strict=True)
            for place, score in zip(row, row_scores, strict=True)
        ]


class BM25Tasks:
    """BM25, which knows no task."""

    def __init__(self, settings: LexicalSettings) -> None:
        self.settings = settings

    def index(self, task: str, keys: Sequence[str]) -> Searcher:  # noqa: ARG002
        """An index of the keys."""
        return self.settings.index(corpus_of(keys))

    def scores(self, task: str, queries: Sequence[str], keys: Sequence[Sequence[str]]) -> list[list[float]]:  # noqa: ARG002
        """BM25 among a query's own keys, whose words it counts; 0 where none is shared."""
        found = []
        for query, candidates in zip(queries, keys, strict=True):
            run = self.settings.index(corpus_of(candidates)).search({"\t": query}, depth=max(len(candidates), 1)) if candidates else []
            by_place = {item.doc_id: item.score for item in run}
            found.append([by_place.get(str(place), 0.0) for place in range(len(candidates))])
        return found


def open_task_systems(
    encoder: TaskEncoderSettings, lexical: LexicalSettings, models: Path, names: Sequence[str], *, device: str
) -> dict[str, TaskSearch]:
    """What is measured on tasks, by name: ``bm25``, ``untrained``, ``untrained_instructed``, and the trained ones.

    Args:
        encoder: that training starts from.
        lexical: of BM25.
        models: folder of the trained encoders, a folder each.
        names: of the trained ones.
        device: of the models.
    """
    systems: dict[str, TaskSearch] = {"bm25": BM25Tasks(lexical)}
    systems["untrained"] = EncoderTasks(build_task_encoder(encoder.bare(), device=device))
    systems["untrained_instructed"] = EncoderTasks(build_task_encoder(encoder, device=device))
    return systems | {name: EncoderTasks(load_task_encoder(models / name, device=device)) for name in names}


def rank_task(queries: Sequence[TaskQuery], keys: Sequence[str], retriever: TaskSearch, *, depth: int) -> list[ScoredDoc]:
    """Rank keys for the queries of one task: by place in the corpus, or among a query's ``key`` where it brings candidates.

    Args:
        queries: of one task.
        keys: of its corpus; none where every query brings its candidates.
        retriever: that searches.
        depth: results a query.

    Raises:
        ValueError: a query brings no candidate, and the task has no corpus.
    """
    if not queries:
        return []
    task = queries[0].task
    bare = [query for query in queries if query.key is None]
    if bare and not keys:
        raise ValueError(f"query {bare[0].query_id} of task {task}: key: none found, and the task has no corpus; give it candidates")
    # A query's id may look like a place, whose key a search would leave out.
    names = {f"\t{query.query_id}": query for query in bare}
    texts = {name: query.query for name, query in names.items()}
    results = retriever.index(task, keys).search(texts, depth=depth) if bare else []
    run = [ScoredDoc(names[item.query_id].query_id, item.doc_id, item.score) for item in results]
    given = [query for query in queries if query.key is not None]
    scores = retriever.scores(task, [query.query for query in given], [query.key or [] for query in given])
    for query, values in zip(given, scores, strict=True):
        ranked = sorted(range(len(values)), key=lambda place: (-values[place], place))[:depth]
        run += [ScoredDoc(query.query_id, str(place), values[place]) for place in ranked]
    return run
