"""Parts of params.yaml that several stages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from tandem.generators.prompts import PromptedSettings
from tandem.retrievers.bm25 import BM25Index, BM25Settings
from tandem.runtime.hardware import Precision
from tandem.settings import (
    BatchSize,
    Count,
    CountOrZero,
    Depth,
    Layers,
    LearningRate,
    PositiveShare,
    PositiveTemperature,
    Settings,
    Share,
    Steps,
    Temperature,
    Tokens,
)
from tandem.text import Language

__all__ = [
    "ContrastiveParams",
    "LexicalParams",
    "PromptTexts",
    "PromptedParams",
    "RetrieverParams",
    "SamplingParams",
    "WindowParams",
]


class LexicalParams(Settings):
    """How words are read and weighed, the same in every stage."""

    bm25: BM25Settings
    language: Language
    """of documents and queries: its stop words and stems"""

    def index(self, texts: Mapping[str, str]) -> BM25Index:
        """BM25 over a corpus, text by doc_id."""
        return BM25Index(texts, self.bm25, language=self.language)


class PromptedParams(PromptedSettings):
    """The prompt, and the language that its keywords are taken from."""

    def asked(self) -> dict[str, Any]:
        """Arguments of tandem.generators.sampling.plan_prompts."""
        return {**self.prompt.model_dump(), "language": self.language}


class PromptTexts(Settings):
    """What stands before every text of a retriever, as e5 and its like were trained; spaces count."""

    query: str
    document: str


class RetrieverParams(Settings):
    """The retriever that every round starts from."""

    kind: Literal["colbert", "dense"]
    """colbert, or a dense encoder in its place, for which dimensions, query_tokens and query_expansion mean nothing"""
    encoder: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: Layers | None
    """keep the encoder's first layers only; null keeps all"""
    dimensions: Tokens
    """of a token vector"""
    query_tokens: Tokens
    """queries are cut here"""
    document_tokens: Tokens
    """documents are cut here"""
    query_expansion: bool
    """fill queries up with mask tokens"""
    markers: bool
    """the paper's [Q] and [D] in every query and document; `tandem export stanford` needs them"""
    prompts: PromptTexts | None
    """before every query and document, in training and in search; null keeps the encoder's own"""


class SamplingParams(Settings):
    """How queries are sampled."""

    queries_per_document: Count
    temperature: Temperature
    """0 decodes greedily"""
    top_p: PositiveShare
    top_k: CountOrZero
    """0 is all tokens"""
    max_new_tokens: Tokens
    batch_size: BatchSize


class WindowParams(Settings):
    """Which documents of a run may be hard negatives."""

    rank_start: Depth
    rank_end: Depth
    """ranks of the window, the query's own documents not counted"""
    negatives_per_query: CountOrZero
    """negatives a query, at most"""
    relative_margin: PositiveShare | None
    """a negative scores at most this share of the query's own document; null asks nothing"""

    @model_validator(mode="after")
    def _start_before_end(self) -> Self:
        if self.rank_start > self.rank_end:
            raise ValueError(f"rank_start: {self.rank_start} found, at most rank_end, {self.rank_end}, is allowed")
        return self


class ContrastiveParams(Settings):
    """Contrastive training of an encoder, a checkpoint chosen on dev."""

    steps: Steps
    batch_size: BatchSize
    negatives: CountOrZero
    """sampled documents a row, beside the in-batch ones"""
    learning_rate: LearningRate
    warmup_ratio: Share
    temperature: PositiveTemperature
    """that scores are divided by: 1 for MaxSim, 0.05 for a cosine"""
    evaluations: Steps
    dev_documents: CountOrZero
    precision: Precision
