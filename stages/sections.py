"""Parts of params.yaml that several stages share."""

from __future__ import annotations

from typing import Literal

from tandem.hardware import Precision
from tandem.params import Section

__all__ = ["ContrastiveParams", "PromptParams", "RetrieverParams", "SamplingParams"]


class PromptParams(Section):
    """The one prompt of fine-tuning, sampling, rewards and PPO."""

    template: str
    """holds {document}, and {keywords} where the query is to be guided"""
    document_tokens: int
    """of the document; it is cut before the query ever is"""
    keywords: int
    """words of the document that a prompt offers, at most; 0 for none"""


class RetrieverParams(Section):
    """The retriever that every round starts from."""

    kind: Literal["colbert", "dense"]
    """colbert, or a dense encoder in its place, for which dimensions, query_tokens and query_expansion mean nothing"""
    encoder: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: int | None
    """keep the encoder's first layers only; null keeps all"""
    dimensions: int
    """of a token vector"""
    query_tokens: int
    """queries are cut here"""
    document_tokens: int
    """documents are cut here"""
    query_expansion: bool
    markers: bool
    """the paper's [Q] and [D] in every query and document; `tandem export stanford` needs them"""
    """fill queries up with mask tokens"""


class SamplingParams(Section):
    """How queries are sampled."""

    queries_per_document: int
    temperature: float
    """0 decodes greedily"""
    top_p: float
    top_k: int
    """0 is all tokens"""
    maximum_new_tokens: int
    batch_size: int


class ContrastiveParams(Section):
    """Contrastive training of an encoder, a checkpoint chosen on dev."""

    steps: int
    batch_size: int
    negatives: int
    """sampled documents a row, beside the in-batch ones"""
    learning_rate: float
    warmup_share: float
    scale: float
    """one over the temperature"""
    evaluations: int
    dev_documents: int
    precision: Precision
