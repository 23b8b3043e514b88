"""Dense retrieval: one vector a text (sentence-transformers), exact inner-product search (faiss)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import faiss
import numpy as np
from ir_measures import ScoredDoc
from sentence_transformers import SentenceTransformer

from tandem.encoders import keep_layers, resolve_encoder

__all__ = ["encode_corpus", "load_dense", "save_dense", "search"]


def load_dense(encoder: str, *, layers: int | None = None, maximum_tokens: int | None = None, device: str = "cpu") -> SentenceTransformer:
    """A dense encoder by name (see :func:`resolve_encoder`), cut to its first layers, pooled as its own files say."""
    model = SentenceTransformer(resolve_encoder(encoder), device=device)
    keep_layers(model[0].auto_model, layers)
    if maximum_tokens is not None:
        model.max_seq_length = maximum_tokens
    return model


def save_dense(model: SentenceTransformer, folder: Path) -> None:
    """Write a dense encoder, whole or not at all; no model card, which would hold dates."""
    draft = folder.with_name(f".{folder.name}.draft")
    model.save_pretrained(str(draft), create_model_card=False)
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def encode_corpus(model: SentenceTransformer, documents: Mapping[str, str], *, batch_size: int = 32) -> np.ndarray:
    """The normalised vectors of all documents, (documents, dimensions), in their order."""
    return model.encode_document(
        list(documents.values()),
        batch_size=batch_size,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=len(documents) > 5000,
    )


def search(
    model: SentenceTransformer,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    *,
    depth: int,
    batch_size: int = 32,
    vectors: np.ndarray | None = None,
) -> list[ScoredDoc]:
    """Rank the whole corpus for each query by cosine similarity, exactly.

    Args:
        model: the encoder.
        documents: text by doc_id.
        queries: text by query_id.
        depth: results a query at most.
        batch_size: texts encoded at once; sentence-transformers sorts them by length itself.
        vectors: of the documents, where :func:`encode_corpus` has made them already.

    Raises:
        ValueError: there are not as many vectors as documents.
    """
    if not queries:
        return []
    doc_ids = list(documents)
    if vectors is None:
        vectors = encode_corpus(model, documents, batch_size=batch_size)
    if len(vectors) != len(doc_ids):
        raise ValueError(f"{len(vectors)} vectors found for {len(doc_ids)} documents; run the stage that encodes them again")
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    wanted = model.encode_query(list(queries.values()), batch_size=batch_size, normalize_embeddings=True, convert_to_numpy=True)
    scores, found = index.search(wanted, min(depth, len(doc_ids)))
    return [
        ScoredDoc(query_id, doc_ids[i], float(score))
        for query_id, row, row_scores in zip(queries, found, scores, strict=True)
        for i, score in zip(row, row_scores, strict=True)
    ]
