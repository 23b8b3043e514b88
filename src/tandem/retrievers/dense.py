"""Dense retrieval: one vector a text (sentence-transformers), exact inner-product search (faiss)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import faiss
import numpy as np
import torch
from ir_measures import ScoredDoc
from sentence_transformers import SentenceTransformer

from tandem.retrievers.prompts import Prompts, choose_prompts
from tandem.retrievers.settings import RetrieverSettings
from tandem.runs import search_depth, without_own
from tandem.runtime.encoders import check_length, keep_layers, longest_text, pad_right, resolve_encoder
from tandem.runtime.weights import refuse_new_weights
from tandem.settings import errors_about

__all__ = ["build_dense", "encode_corpus", "load_dense", "save_dense", "search"]


def build_dense(settings: RetrieverSettings, *, device: str = "cpu") -> SentenceTransformer:
    """The dense encoder that a retriever of this kind starts from; its one length is ``document_tokens``.

    Raises:
        SettingError: the encoder's files lack weights, or it has fewer layers or positions than asked for.
    """
    with errors_about(settings):
        return load_dense(
            settings.encoder,
            layers=settings.layers,
            max_length=settings.document_tokens,
            length_key="document_tokens",
            prompts=settings.prompts,
            device=device,
        )


def load_dense(
    encoder: str,
    *,
    layers: int | None = None,
    max_length: int | None = None,
    length_key: str = "max_length",
    prompts: Prompts | None = None,
    device: str = "cpu",
) -> SentenceTransformer:
    """A dense encoder with float32 weights, pooled as its files say, padded on the right.

    Args:
        encoder: a name for :func:`resolve_encoder`.
        layers: of the encoder to keep; None keeps all.
        max_length: texts are cut to this many tokens; None cuts them where the encoder's files say.
        length_key: the name of ``max_length`` in an error.
        prompts: put before every text; None keeps the model's.
        device: to put the model on.

    Raises:
        SettingError: the encoder's files lack weights, or it has fewer layers or positions than asked for.
    """
    with refuse_new_weights(encoder, instead="take a whole encoder", key="encoder", pooler=True):
        model = SentenceTransformer(resolve_encoder(encoder), device=device, model_kwargs={"dtype": torch.float32})
    transformer = model[0].auto_model
    keep_layers(transformer, layers)
    check_length(transformer, max_length, key=length_key)
    pad_right(model.tokenizer)
    limits = [limit for limit in (max_length or model.max_seq_length, longest_text(transformer)) if limit is not None]
    model.max_seq_length = min(limits, default=None)
    model.prompts = choose_prompts(model.prompts, prompts)  # no other name, which would be read again where one of these is empty
    return model


def save_dense(model: SentenceTransformer, folder: Path) -> None:
    """Write a dense encoder, whole or not at all; no model card, which would hold dates."""
    draft = folder.with_name(f".{folder.name}.draft")
    model.save_pretrained(str(draft), create_model_card=False)
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def encode_corpus(model: SentenceTransformer, documents: Mapping[str, str], *, batch_size: int = 32) -> np.ndarray:
    """The normalised vectors of all documents, (documents, dimensions), in their order."""
    vectors: np.ndarray = model.encode_document(
        list(documents.values()),
        batch_size=batch_size,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=len(documents) > 5000,
    )
    return vectors


def search(
    model: SentenceTransformer,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    *,
    depth: int,
    batch_size: int = 32,
    vectors: np.ndarray | None = None,
) -> list[ScoredDoc]:
    """Rank the whole corpus for each query by cosine similarity, exactly, without a document with the query's id.

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
    scores, found = index.search(wanted, min(search_depth(queries, documents, depth), len(doc_ids)))
    run = (
        ScoredDoc(query_id, doc_ids[i], float(score))
        for query_id, row, row_scores in zip(queries, found, scores, strict=True)
        for i, score in zip(row, row_scores, strict=True)
    )
    return without_own(run, depth=depth)
