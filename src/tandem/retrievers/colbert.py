"""ColBERT: a vector per token and the MaxSim of query and document tokens (Khattab and Zaharia, 2020), searched exactly."""

from __future__ import annotations

import string
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
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

from tandem.retrievers.prompts import choose_prompts, read_prompts
from tandem.retrievers.settings import RetrieverSettings
from tandem.runs import search_depth, without_own
from tandem.runtime.encoders import check_length, keep_layers, pad_right, resolve_encoder
from tandem.runtime.weights import refuse_new_weights
from tandem.settings import errors_about

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["MARKERS", "build_colbert", "count_tokens", "load_colbert", "search"]

MARKERS = ("[unused0]", "[unused1]")  # of queries and of documents, as in Stanford's checkpoints


def build_colbert(settings: RetrieverSettings, *, seed: int = 0, device: str = "cpu") -> MultiVectorEncoder:
    """A ColBERT from an encoder, with float32 weights: a bias-free projection to ``dimensions``, cosine MaxSim.

    The projection starts orthonormal, so that before any training the scores are those of the encoder's token vectors up to
    a random rotation and cut; a Gaussian start, as the libraries have it, costs zero-shot quality for nothing.

    Args:
        settings: of the retriever; markers stand behind the first token, as two unused words of BERT's vocabulary.
        seed: of the projection.
        device: to put the model on.

    Raises:
        SettingError: the encoder's files lack weights, or it has fewer layers or positions than asked for.
    """
    with errors_about(settings):
        transformer = _load_transformer(settings)
    modules: list[nn.Module] = [
        transformer,
        _projection(transformer.get_embedding_dimension(), settings.dimensions, seed),
        MultiVectorMask(skiplist_words=_punctuation(transformer.tokenizer) if settings.markers else []),
        Normalize(module_input_name="token_embeddings"),
    ]
    texts = choose_prompts(read_prompts(resolve_encoder(settings.encoder)), settings.prompts)
    marks = _add_markers(transformer) if settings.markers else {}
    return MultiVectorEncoder(modules=modules, prompts={role: marks.get(role, "") + text for role, text in texts.items()}, device=device)


def _load_transformer(settings: RetrieverSettings) -> Transformer:
    expansion = {"strategy": "fixed", "attend": False, "length": settings.query_tokens} if settings.query_expansion else None
    with refuse_new_weights(settings.encoder, instead="take a whole encoder", key="encoder", pooler=True):
        transformer = Transformer(
            resolve_encoder(settings.encoder),
            model_kwargs={"dtype": torch.float32},
            query_length=settings.query_tokens,
            document_length=settings.document_tokens,
            query_expansion=expansion,
        )
    keep_layers(transformer.auto_model, settings.layers)
    check_length(transformer.auto_model, settings.query_tokens, key="query_tokens")
    check_length(transformer.auto_model, settings.document_tokens, key="document_tokens")
    pad_right(transformer.tokenizer)
    return transformer


def _projection(width: int, dimensions: int, seed: int) -> nn.Module:
    weight = torch.empty(dimensions, width)
    if dimensions == width:
        nn.init.eye_(weight)
    else:
        nn.init.orthogonal_(weight, generator=torch.Generator().manual_seed(seed))
    return Dense(
        width,
        dimensions,
        bias=False,
        activation_function=nn.Identity(),
        init_weight=weight,
        module_input_name="token_embeddings",
    )


def _punctuation(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The signs that are one token each."""
    tokens = {sign: tokenizer.encode(sign, add_special_tokens=False) for sign in string.punctuation}
    return [sign for sign, ids in tokens.items() if len(ids) == 1 and ids[0] != tokenizer.unk_token_id]


def _add_markers(transformer: Transformer) -> dict[str, str]:
    """Make the markers words of the tokenizer, which new to it get a vector each, and say which text begins with which."""
    transformer.tokenizer.add_tokens([AddedToken(marker, normalized=False, special=True) for marker in MARKERS])
    if len(transformer.tokenizer) > transformer.auto_model.get_input_embeddings().weight.shape[0]:
        transformer.auto_model.resize_token_embeddings(len(transformer.tokenizer), mean_resizing=False)
    return {"query": f"{MARKERS[0]} ", "document": f"{MARKERS[1]} "}


def load_colbert(folder: Path, *, device: str = "cpu") -> MultiVectorEncoder:
    """A trained ColBERT from its folder, with float32 weights.

    Raises:
        FileNotFoundError: names the folder and the stage that writes it.
        ValueError: weights are missing, of the encoder or of the projection, which any other kind of model would be given anew.
    """
    settings = folder / "config_sentence_transformers.json"
    if not (folder / "modules.json").exists() or not settings.exists():
        raise FileNotFoundError(f"{folder}: no ColBERT in it; `dvc repro` (stage train_retriever) or `dvc pull` makes one")
    kind = orjson.loads(settings.read_bytes()).get("model_type")
    if kind != "MultiVectorEncoder":
        raise ValueError(f"{folder}: {kind or 'no kind of model'} found, which has no projection of a ColBERT; train one")
    with refuse_new_weights(str(folder), instead="train the retriever again (`dvc repro`), or `dvc pull` it", pooler=True):
        model = MultiVectorEncoder(str(folder), device=device, model_kwargs={"dtype": torch.float32})
    pad_right(model.tokenizer)
    return model


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

    Documents are encoded a chunk at a time, scored against all queries and let go; the best ``depth`` so far are kept. A document with
    the query's id is no result.

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
    doc_ids, query_ids, wanted_depth = list(documents), list(queries), search_depth(queries, documents, depth)
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
        order = scores.argsort(dim=1, descending=True, stable=True)[:, :wanted_depth]
        best_scores, best_rows = scores.gather(1, order), rows.gather(1, order)
    run = (
        ScoredDoc(query_id, doc_ids[row], score)
        for query_id, row_ids, row_scores in zip(query_ids, best_rows.tolist(), best_scores.tolist(), strict=True)
        for row, score in zip(row_ids, row_scores, strict=True)
    )
    return without_own(run, depth=depth)


def count_tokens(model: MultiVectorEncoder, queries: Mapping[str, str]) -> dict[str, int]:
    """How many token vectors each query has: what its MaxSim is a sum over."""
    vectors = model.encode_query(list(queries.values()), show_progress_bar=False) if queries else []
    return {query_id: len(tokens) for query_id, tokens in zip(queries, vectors, strict=True)}


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
