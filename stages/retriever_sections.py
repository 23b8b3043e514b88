"""Values of a round's training: what it learns from, and whom."""

from __future__ import annotations

from stages.sections import ContrastiveParams
from tandem.retrievers.losses import Distillation
from tandem.settings import Coefficient, Count, CountOrZero, PositiveTemperature, Settings, Tokens

__all__ = ["DistillationParams", "RoundParams"]


class DistillationParams(Settings):
    """Learning from the logits that mine_negatives writes where ``mine_negatives.teach`` asks for them."""

    distillation: Distillation
    """off, kl or margin_mse"""
    distillation_weight: Coefficient
    contrastive_weight: Coefficient
    teacher_temperature: PositiveTemperature


class RoundParams(ContrastiveParams):
    """Training of a round's retriever."""

    training_document_tokens: Tokens | None
    """documents are cut here while a ColBERT trains; search uses retriever.document_tokens"""
    queries_per_document: Count
    labelled_copies: Count
    dev_pseudo_queries: CountOrZero
    distillation: DistillationParams
