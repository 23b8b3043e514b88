"""ColBERT: a vector per token and the MaxSim of query and document tokens (Khattab and Zaharia, 2020), searched exactly."""

from __future__ import annotations

import string
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from ir_measures import ScoredDoc
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.base.modules.dense import Dense
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.util import maxsim
from tokenizers import AddedToken
from torch import nn
from tqdm import tqdm

from tandem.encoders import keep_layers, resolve_encoder

__all__ = ["MARKERS", "build_colbert", "count_tokens", "load_colbert", "save_colbert", "search"]

MARKERS = ("[unused0]", "[unused1]")  # of queries and of documents, as in Stanford's checkpoints


def build_colbert(
    encoder: str,
    *,
    layers: int | None = None,
    dimensions: int = 128,
    query_tokens: int = 32,
    document_tokens: int = 180,
    query_expansion: bool = False,
    markers: bool = False,
    seed: int = 0,
    device: str = "cpu",
) -> MultiVectorEncoder:
    """A ColBERT from an encoder: a bias-free projection to ``dimensions``, cosine MaxSim.

    The projection starts orthonormal, so that before any training the scores are those of the encoder's own token vectors up to
    a random rotation and cut; a Gaussian start, as the libraries have it, costs zero-shot quality for nothing.

    Args:
        encoder: a name for :func:`resolve_encoder`.
        layers: of the encoder to keep; None keeps all.
        dimensions: of a token vector.
        query_tokens: queries are cut to this many tokens.
        document_tokens: documents are cut to this many tokens.
        query_expansion: fill queries up with mask tokens that take part in the score, as the paper does.
        markers: put the paper's [Q] or [D] behind the first token, as two unused words of BERT's vocabulary, and leave the punctuation of
            documents out of the score, as the paper does.
        seed: of the projection.
        device: to put the model on.
    """
    path = resolve_encoder(encoder)
    expansion: Any = {"strategy": "fixed", "attend": False, "length": query_tokens} if query_expansion else None
    transformer = Transformer(path, query_length=query_tokens, document_length=document_tokens, query_expansion=expansion)
    keep_layers(transformer.auto_model, layers)
    width = transformer.get_embedding_dimension()
    weight = torch.empty(dimensions, width)
    generator = torch.Generator().manual_seed(seed)
    if dimensions == width:
        nn.init.eye_(weight)
    else:
        nn.init.orthogonal_(weight, generator=generator)
    projection = Dense(
        width,
        dimensions,
        bias=False,
        activation_function=nn.Identity(),
        init_weight=weight,
        module_input_name="token_embeddings",
    )
    modules: list[nn.Module] = [
        transformer,
        projection,
        MultiVectorMask(skiplist_words=_punctuation(transformer.tokenizer) if markers else []),
        Normalize(module_input_name="token_embeddings"),
    ]
    prompts = _add_markers(transformer) if markers else None
    return MultiVectorEncoder(modules=modules, prompts=prompts, device=device)


def _punctuation(tokenizer: Any) -> list[str]:
    """The signs that are tokens of their own."""
    ids = {sign: tokenizer.encode(sign, add_special_tokens=False) for sign in string.punctuation}
    return [sign for sign, own in ids.items() if len(own) == 1 and own[0] != tokenizer.unk_token_id]


def _add_markers(transformer: Transformer) -> dict[str, str]:
    """Make the markers words of the tokenizer, which new to it get a vector each, and say which text begins with which."""
    transformer.tokenizer.add_tokens([AddedToken(marker, normalized=False, special=True) for marker in MARKERS])
    if len(transformer.tokenizer) > transformer.auto_model.get_input_embeddings().weight.shape[0]:
        transformer.auto_model.resize_token_embeddings(len(transformer.tokenizer), mean_resizing=False)
    return {"query": f"{MARKERS[0]} ", "document": f"{MARKERS[1]} "}


def load_colbert(folder: Path, *, device: str = "cpu") -> MultiVectorEncoder:
    """A trained ColBERT from its folder.

    Raises:
        FileNotFoundError: names the folder and the stage that writes it.
    """
    if not (folder / "modules.json").exists():
        raise FileNotFoundError(f"{folder}: no ColBERT in it; `dvc repro` (stage train_retriever) or `dvc pull` makes one")
    return MultiVectorEncoder(str(folder), device=device)


def save_colbert(model: MultiVectorEncoder, folder: Path) -> None:
    """Write a ColBERT's weights, tokenizer and settings; no model card, which would hold dates."""
    model.save_pretrained(str(folder), create_model_card=False)


def search(
    model: MultiVectorEncoder,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    *,
    depth: int,
    batch_size: int = 32,
    chunk_documents: int = 4096,
    show_progress: bool = True,
) -> list[ScoredDoc]:
    """Rank the whole corpus for each query by MaxSim, exactly; memory is bounded by ``chunk_documents``, not by the corpus.

    Documents are encoded a chunk at a time, scored against all queries and let go; the best ``depth`` so far are kept.

    Args:
        model: a ColBERT.
        documents: text by doc_id.
        queries: text by query_id.
        depth: results a query at most.
        batch_size: texts encoded at once.
        chunk_documents: documents held as token vectors at once.
        show_progress: a bar over the chunks.
    """
    if not queries:
        return []
    doc_ids, query_ids = list(documents), list(queries)
    texts = iter(documents.values())
    wanted = model.encode_query(list(queries.values()), batch_size=batch_size, show_progress_bar=False)
    best_scores = torch.empty(len(query_ids), 0)
    best_rows = torch.empty(len(query_ids), 0, dtype=torch.long)
    starts = range(0, len(doc_ids), chunk_documents)
    for start in tqdm(starts, desc="MaxSim", disable=not show_progress or len(starts) < 2, leave=False):
        chunk = list(islice(texts, chunk_documents))
        vectors = model.encode_document(chunk, batch_size=batch_size, show_progress_bar=False)
        scores = _score_by_length(wanted, vectors)
        rows = torch.arange(start, start + len(chunk)).expand(len(query_ids), -1)
        scores, rows = torch.cat([best_scores, scores], 1), torch.cat([best_rows, rows], 1)
        # A stable sort, so that equal scores keep the order of the corpus on every machine.
        order = scores.argsort(dim=1, descending=True, stable=True)[:, :depth]
        best_scores, best_rows = scores.gather(1, order), rows.gather(1, order)
    return [
        ScoredDoc(query_id, doc_ids[row], score)
        for query_id, row_ids, row_scores in zip(query_ids, best_rows.tolist(), best_scores.tolist(), strict=True)
        for row, score in zip(row_ids, row_scores, strict=True)
    ]


def count_tokens(model: MultiVectorEncoder, queries: Mapping[str, str]) -> dict[str, int]:
    """How many token vectors each query has: what its MaxSim is a sum over."""
    vectors = model.encode_query(list(queries.values()), show_progress_bar=False) if queries else []
    return {query_id: len(own) for query_id, own in zip(queries, vectors, strict=True)}


def _score_by_length(
    queries: list[torch.Tensor], documents: list[torch.Tensor], *, query_group: int = 64, document_group: int = 256
) -> torch.Tensor:
    """MaxSim of all queries with all documents (queries, documents); texts of like length are padded together."""
    scores = torch.empty(len(queries), len(documents))
    for rows in _by_length(queries, query_group):
        for columns in _by_length(documents, document_group):
            part = maxsim([queries[i] for i in rows], [documents[i] for i in columns], chunk_elements=20_000_000)
            scores[torch.tensor(rows)[:, None], torch.tensor(columns)] = part.float().cpu()
    return scores


def _by_length(vectors: list[torch.Tensor], size: int) -> list[list[int]]:
    order = sorted(range(len(vectors)), key=lambda i: len(vectors[i]))
    return [order[start : start + size] for start in range(0, len(order), size)]
