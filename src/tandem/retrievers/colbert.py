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
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.base.modules.dense import Dense
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import AddedToken
from torch import nn
from tqdm import tqdm

from tandem.retrievers.maxsim import rank_by_maxsim
from tandem.retrievers.prompts import choose_prompts, read_prompts
from tandem.retrievers.settings import RetrieverSettings
from tandem.runtime.encoders import check_length, keep_layers, pad_right, resolve_encoder
from tandem.runtime.weights import refuse_new_weights
from tandem.settings import SettingError, errors_about

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["MARKERS", "build_colbert", "count_tokens", "load_colbert", "search"]

MARKERS = ("[unused0]", "[unused1]")  # of queries and of documents, as in Stanford's checkpoints


def build_colbert(settings: RetrieverSettings, *, seed: int = 0, device: str = "cpu", dense_head: bool | None = None) -> MultiVectorEncoder:
    """A ColBERT from an encoder, with float32 weights: a bias-free projection to ``dimensions``, cosine MaxSim.

    The projection starts orthonormal, so that before any training the scores are those of the encoder's token vectors up to
    a random rotation and cut; a Gaussian start, as the libraries have it, costs zero-shot quality for nothing. Of kind ``both`` it
    pools the encoder's vectors as well, before they are projected: its dense vectors are those of the encoder.

    Args:
        settings: of the retriever; markers stand behind the first token, as two unused words of BERT's vocabulary.
        seed: of the projection.
        device: to put the model on.
        dense_head: whether it has dense vectors too; None has them where the kind is ``both``.

    Raises:
        SettingError: the encoder's files lack weights, it has fewer layers or positions than asked for, or it does more to a dense vector
            than to pool and normalise.
    """
    with errors_about(settings):
        transformer = _load_transformer(settings)
        pooling = [_pooling(settings.encoder)] if (settings.kind == "both" if dense_head is None else dense_head) else []
    modules: list[nn.Module] = [
        transformer,
        *pooling,
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


def _pooling(encoder: str) -> Pooling:
    """How the encoder's files make one vector of a text's."""
    with refuse_new_weights(encoder, instead="take a whole encoder", key="encoder", pooler=True):
        modules = list(SentenceTransformer(resolve_encoder(encoder), device="cpu"))
    if isinstance(pooling := modules[1], Pooling) and all(isinstance(module, Normalize) for module in modules[2:]):
        return pooling
    names = ", ".join(type(module).__name__ for module in modules[1:])
    raise SettingError("kind", f"'both' found, and {encoder} makes its dense vectors by {names}; take one that pools alone, or colbert")


def _projection(width: int, dimensions: int, seed: int) -> nn.Module:
    weight = torch.empty(dimensions, width)
    if dimensions == width:
        nn.init.eye_(weight)
    else:
        nn.init.orthogonal_(weight, generator=torch.Generator().manual_seed(seed))
    projection: nn.Module = Dense(
        width,
        dimensions,
        bias=False,
        activation_function=nn.Identity(),
        init_weight=weight,
        module_input_name="token_embeddings",
    )
    return projection


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
    texts, starts = iter(documents.values()), range(0, len(documents), chunk_documents)
    wanted = model.encode_query(list(queries.values()), batch_size=batch_size, show_progress_bar=False)
    chunks = (
        model.encode_document(list(islice(texts, chunk_documents)), batch_size=batch_size, show_progress_bar=False)
        for _ in tqdm(starts, desc="MaxSim", disable=not show_progress or len(starts) < 2, leave=False)
    )
    return rank_by_maxsim(dict(zip(queries, wanted, strict=True)), chunks, list(documents), depth=depth)


def count_tokens(model: MultiVectorEncoder, queries: Mapping[str, str]) -> dict[str, int]:
    """How many token vectors each query has: what its MaxSim is a sum over."""
    vectors = model.encode_query(list(queries.values()), show_progress_bar=False) if queries else []
    return {query_id: len(tokens) for query_id, tokens in zip(queries, vectors, strict=True)}
