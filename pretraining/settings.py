"""The sections of this folder's params.yaml, every number bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from tandem.runtime.params import load_params
from tandem.settings import (
    BatchSize,
    Coefficient,
    Count,
    CountOrZero,
    Layers,
    LearningRate,
    PositiveShare,
    Seed,
    Settings,
    Share,
    StepsOrZero,
    Tokens,
)

__all__ = ["SECTIONS", "read_section"]


class CollectText(Settings):
    """Which packages are read."""

    excluded: list[str]
    environment_packages: list[str]


class TrainTokenizer(Settings):
    """The tokenizer."""

    vocabulary_size: Count


class Pretrain(Settings):
    """The model's shape and its training."""

    layers: Layers
    hidden_size: Tokens
    heads: Layers
    document_tokens: Tokens
    query_tokens: Tokens
    batch_size: BatchSize
    legs: list[StepsOrZero]
    learning_rate: LearningRate
    weight_decay: Coefficient
    document_loss_weight: Coefficient
    summary_share: Share
    cloze_share: Share
    averaged_checkpoints: Count
    seed: Seed
    device: Literal["auto", "cpu", "cuda"]


class Evaluate(Settings):
    """What the model is measured on."""

    documents: Count
    sampled_documents: Count
    batch_size: BatchSize
    top_k: CountOrZero
    top_p: PositiveShare
    max_new_tokens: Tokens
    seed: Seed


SECTIONS: dict[str, type[Settings]] = {
    "collect_text": CollectText,
    "train_tokenizer": TrainTokenizer,
    "pretrain": Pretrain,
    "evaluate": Evaluate,
}


def read_section(path: Path, section: str) -> dict[str, Any]:
    """The checked values of one section, with the seed and the device that all share."""
    return load_params(path, section, SECTIONS[section]).model_dump()
