"""The retriever that every round starts from: ColBERT or a dense encoder, and how it reads texts."""

from __future__ import annotations

from typing import Literal

from tandem.retrievers.prompts import Prompts
from tandem.settings import Layers, Settings, Tokens

__all__ = ["Kind", "RetrieverSettings"]

Kind = Literal["colbert", "dense", "both"]


class RetrieverSettings(Settings):
    """The retriever that every round starts from."""

    kind: Kind
    """colbert; dense: an encoder in its place, for which dimensions, query_tokens, query_expansion and markers mean nothing; both: a
    ColBERT whose encoder is the dense one as well, trained together, two arms of the fusion"""
    encoder: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: Layers | None
    """keep the encoder's first layers only; null keeps all"""
    dimensions: Tokens
    """of a token vector"""
    query_tokens: Tokens
    """queries are cut here; a dense encoder cuts them at document_tokens"""
    document_tokens: Tokens
    """documents are cut here"""
    query_expansion: bool
    """fill queries up with mask tokens that take part in the score, as the ColBERT paper does"""
    markers: bool
    """the paper's [Q] and [D] in every query and document, no punctuation in the score; `tandem export stanford` needs them"""
    prompts: Prompts | None
    """before every query and document, in training and in search; null keeps the encoder's"""
