"""Values of a reranker: what it starts from, how it reads pairs, what it learns from and how."""

from __future__ import annotations

from tandem.rerankers.losses import Loss
from tandem.rerankers.pair_format import PairFormat
from tandem.runtime.lora import Lora
from tandem.settings import BatchSize, Count, Layers, LearningRate, Logit, Settings, Steps

__all__ = ["RerankerParams"]


class RerankerParams(Settings):
    """One reranker of a recipe."""

    base: str
    """builtin (all-MiniLM-L6-v2), a Hugging Face id or a folder"""
    layers: Layers | None
    """keep an encoder's first layers only; null keeps all"""
    rows: str
    """file of grouped rows that it learns from"""
    min_label: Logit
    max_label: Logit
    """labels from minimum to maximum become 0 to 1"""
    form: PairFormat
    loss: Loss
    steps: Steps
    batch_size: BatchSize
    """queries a step"""
    documents_per_query: Count
    """of a query in a step, one of the highest label among them"""
    learning_rate: LearningRate
    lora: Lora | None
    """train an adapter {rank, alpha, dropout} and merge it; null trains all weights"""
