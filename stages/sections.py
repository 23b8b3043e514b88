"""Parts of params.yaml that several stages share, and the long list of PPO's values."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tandem.hardware import Precision
from tandem.params import Section

__all__ = ["ContrastiveParams", "LoraParams", "PPOParams", "PromptParams", "RetrieverParams", "RewardWeights", "SamplingParams"]


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


class RewardWeights(Section):
    """What PPO maximises is their weighted sum; 0 leaves one out."""

    reward_model: float = Field(ge=0)
    """the paper's; it counts only where it passed its gate"""
    round_trip: float = Field(ge=0)
    """how high BM25 ranks a query's own document, 0 to 1"""


class PPOParams(Section):
    """PPO; its arguments are those of tandem.generators.ppo.PPO."""

    steps: int
    order: Literal["easy_first", "hard_first", "random"]
    batch_size: int
    minibatch_size: int
    epochs: int
    learning_rate: float = Field(ge=1e-8)
    lora_rank: int
    lora_alpha: int
    kl_coefficient: float
    target_kl: float | None
    """steer the KL coefficient towards this KL a response; null keeps it fixed"""
    temperature: float
    maximum_new_tokens: int
    missing_end_penalty: float
    score_clip: float
    clip: float
    value_clip: float
    value_coefficient: float
    gamma: float
    lam: float
    maximum_gradient_norm: float
