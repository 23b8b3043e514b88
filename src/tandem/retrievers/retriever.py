"""The retriever of the loop, whichever kind it is: ColBERT, or a dense encoder in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import torch
from ir_measures import ScoredDoc
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from tandem.formats.jsonl import write_json
from tandem.interfaces import Encoder, Retriever, Searcher
from tandem.retrievers import bm25, colbert, dense
from tandem.retrievers.bm25 import BM25Index, BM25Settings
from tandem.retrievers.maxsim import rank_by_maxsim
from tandem.retrievers.settings import RetrieverSettings
from tandem.text import Language

__all__ = [
    "Lexical",
    "Retriever",
    "both_vectors_of",
    "build_retriever",
    "count_tokens",
    "has_dense_head",
    "load_retriever",
    "save_retriever",
    "search",
    "searcher",
    "vectors_of",
]

LEXICAL_FILE = "bm25.json"


def build_retriever(settings: RetrieverSettings, *, seed: int, device: str) -> MultiVectorEncoder | SentenceTransformer:
    """What every round starts from, with float32 weights.

    Args:
        settings: of the retriever.
        seed: of a ColBERT's projection.
        device: to put the model on.

    Raises:
        SettingError: the encoder's files lack weights, or it has fewer layers or positions than asked for.
    """
    if settings.kind == "dense":
        return dense.build_dense(settings, device=device)
    return colbert.build_colbert(settings, seed=seed, device=device)


@dataclass(frozen=True, slots=True)
class Lexical:
    """BM25 as a retriever among the others: no weights, the corpus is indexed when it is searched."""

    bm25: BM25Settings
    language: Language

    def index(self, documents: Mapping[str, str]) -> BM25Index:
        """The index of a corpus, text by doc_id."""
        return BM25Index(documents, self.bm25, language=self.language)

    def save_pretrained(self, folder: str, /, **_: Any) -> None:
        """Write the settings, which are all that it is."""
        write_json(Path(folder) / LEXICAL_FILE, {"bm25": self.bm25.model_dump(), "language": self.language})

    @classmethod
    def load(cls, folder: Path) -> Lexical:
        """Read them."""
        content = orjson.loads((folder / LEXICAL_FILE).read_bytes())
        return cls(BM25Settings(**content["bm25"]), content["language"])


def load_retriever(folder: Path, *, device: str = "cpu") -> Retriever:
    """A retriever from its folder, of the kind that the folder says: ColBERT, dense, or BM25 (a baseline that the gate may choose).

    Raises:
        FileNotFoundError: names the folder and the stage that writes it.
    """
    if (folder / LEXICAL_FILE).exists():
        return Lexical.load(folder)
    settings = folder / "config_sentence_transformers.json"
    if not settings.exists():
        raise FileNotFoundError(f"{folder}: no retriever in it; `dvc repro` (stage train_retriever) or `dvc pull` makes one")
    many = orjson.loads(settings.read_bytes()).get("model_type") == "MultiVectorEncoder"
    model: Encoder = colbert.load_colbert(folder, device=device) if many else dense.load_dense(str(folder), device=device)
    return model


def save_retriever(model: Retriever, folder: Path) -> None:
    """Write weights, tokenizer and settings; no model card, which would hold dates."""
    model.save_pretrained(str(folder), create_model_card=False)


def search(
    model: Retriever, documents: Mapping[str, str], queries: Mapping[str, str], *, depth: int, chunk_documents: int = 4096
) -> list[ScoredDoc]:
    """Rank the whole corpus for each query, exactly: by MaxSim, or by the cosine of a dense encoder.

    Args:
        model: the retriever.
        documents: text by doc_id.
        queries: text by query_id.
        depth: results a query at most.
        chunk_documents: documents held as token vectors at once; a dense encoder holds one vector of every document.
    """
    if isinstance(model, Lexical):
        return bm25.search(documents, queries, depth=depth, settings=model.bm25, language=model.language)
    if isinstance(model, MultiVectorEncoder):
        return colbert.search(model, documents, queries, depth=depth, chunk_documents=chunk_documents)
    return dense.search(model, documents, queries, depth=depth)


@dataclass(frozen=True, slots=True)
class _InMemory:
    """A small corpus, encoded anew for every search."""

    model: Retriever
    documents: Mapping[str, str]
    dense_head: bool

    def search(self, queries: Mapping[str, str], *, depth: int) -> list[ScoredDoc]:
        """Rank the documents for each query."""
        if not self.dense_head or not queries:
            return search(self.model, self.documents, queries, depth=depth)
        vectors = both_vectors_of(self.model, list(self.documents.values()), task="document")[1]
        wanted = both_vectors_of(self.model, list(queries.values()), task="query")[1]
        return rank_by_maxsim(dict(zip(queries, wanted, strict=True)), [vectors], list(self.documents), depth=depth)


def searcher(model: Retriever, documents: Mapping[str, str], *, dense_head: bool = False) -> Searcher:
    """A search of a corpus that is small enough to be encoded whenever it is asked, as the guard is.

    Args:
        model: the retriever.
        documents: text by doc_id.
        dense_head: search with the dense vectors of a retriever of kind ``both``.
    """
    return _InMemory(model, documents, dense_head)


def count_tokens(model: Retriever, queries: Mapping[str, str]) -> dict[str, int]:
    """How many vectors each query has: what its score is a sum over."""
    if isinstance(model, MultiVectorEncoder):
        return colbert.count_tokens(model, queries)
    return dict.fromkeys(queries, 1)


def has_dense_head(model: Retriever) -> bool:
    """Whether a ColBERT is of kind ``both``: its encoder makes dense vectors as well."""
    return isinstance(model, MultiVectorEncoder) and any(isinstance(module, Pooling) for module in model)


def vectors_of(model: Retriever, texts: Sequence[str], *, task: Literal["query", "document"]) -> list[torch.Tensor]:
    """The normalised vectors of each text, (vectors, dimensions): one a token, or the one of a dense encoder.

    Raises:
        ValueError: the retriever is BM25, which has none.
    """
    if not texts:
        return []
    if not isinstance(model, Encoder):
        raise ValueError(f"{type(model).__name__} found, which has no vectors: a ColBERT or a dense encoder is needed")
    encode = model.encode_query if task == "query" else model.encode_document
    if isinstance(model, MultiVectorEncoder):
        return [vectors.float().cpu() for vectors in encode(list(texts), show_progress_bar=False)]
    vectors = encode(list(texts), normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False)
    return list(torch.as_tensor(vectors).float().cpu().unsqueeze(1))


def both_vectors_of(
    model: Retriever, texts: Sequence[str], *, task: Literal["query", "document"]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The normalised token vectors of each text, (tokens, dimensions), and its dense one, (1, dimensions), from one pass over the encoder.

    Raises:
        ValueError: the retriever is no ColBERT of kind ``both``.
    """
    if not isinstance(model, MultiVectorEncoder) or not has_dense_head(model):
        raise ValueError(f"{type(model).__name__} found, which has no vectors of two kinds; train one with retriever.kind: both")
    if not texts:
        return [], []
    encode = model.encode_query if task == "query" else model.encode_document
    outputs: Any = encode(list(texts), output_value=None, show_progress_bar=False)
    tokens = [output["token_embeddings"][output["attention_mask"].bool()].float().cpu() for output in outputs]
    pooled = torch.stack([output["sentence_embedding"].float().cpu() for output in outputs])
    return tokens, list(torch.nn.functional.normalize(pooled, dim=-1).unsqueeze(1))
