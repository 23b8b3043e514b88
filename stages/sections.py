"""Parts of params.yaml that several stages share, each under its own top-level key."""

from __future__ import annotations

from tandem.params import Section

__all__ = ["LoraParams", "PromptParams", "RetrieverParams"]


class PromptParams(Section):
    """The one prompt of fine-tuning, sampling, rewards and PPO."""

    template: str
    """holds {document}, and {keywords} where the query is to be guided"""
    document_tokens: int
    """of the document; it is cut before the query ever is"""
    keywords: int
    """words of the document that a prompt offers, at most; 0 for none"""


class LoraParams(Section):
    """An adapter on every linear layer."""

    rank: int
    alpha: int
    dropout: float


class RetrieverParams(Section):
    """The retriever that every round starts from."""

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
    """fill queries up with mask tokens"""
