"""Values of a reranker: what it starts from, how it reads pairs, what it learns from and how."""

from __future__ import annotations

from tandem.adapters import Lora
from tandem.params import Section
from tandem.rerankers.losses import Loss
from tandem.rerankers.pair_format import PairFormat

__all__ = ["RerankerParams"]


class RerankerParams(Section):
    """One reranker of a recipe."""

    base: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: int | None
    """keep an encoder's first layers only; null keeps all"""
    rows: str
    """file of grouped rows that it learns from"""
    minimum_label: float
    maximum_label: float
    """labels from minimum to maximum become 0 to 1"""
    form: PairFormat
    loss: Loss
    steps: int
    batch_size: int
    """queries a step"""
    documents_per_query: int
    """of a query in a step, one of the highest label among them"""
    learning_rate: float
    lora: Lora | None
    """train an adapter {rank, alpha, dropout} and merge it; null trains all weights"""
