"""A causal language model by name, and adapters on it: what every generator stage starts from and leaves behind."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

__all__ = ["load_generator", "resolve_generator", "save_generator"]

BUILTIN = Path(__file__).parent / "builtin"


def resolve_generator(name: str) -> str:
    """The path or Hugging Face id that a name in params.yaml stands for; ``builtin`` is the small one that ships.

    Raises:
        FileNotFoundError: ``builtin`` was asked for and its weights are not in the package.
    """
    if name != "builtin":
        return name
    if not (BUILTIN / "model.safetensors").exists():
        raise FileNotFoundError(f"{BUILTIN}: no weights in it; `dvc repro` in pretraining/ makes them")
    return str(BUILTIN)


def load_generator(name: str, *, device: str = "cpu", bf16: bool = False) -> tuple[Any, Any]:
    """The model and its tokenizer, padded on the left with a pad token that is not the end token.

    Args:
        name: for :func:`resolve_generator`.
        device: to put the model on.
        bf16: hold the weights in bfloat16, else float32.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = resolve_generator(name)
    tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16 if bf16 else torch.float32)
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # With pad = end, the end is masked out of every loss and the model never learns to stop.
        if tokenizer.unk_token_id is not None:
            tokenizer.pad_token = tokenizer.unk_token
        else:
            tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    # A chat model's end of turn, and the end token that fine-tuning teaches: either ends a query.
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends] if ends is not None else []
    model.generation_config.eos_token_id = sorted({*ends, tokenizer.eos_token_id})
    return model.to(device), tokenizer


def save_generator(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a whole model folder: weights as safetensors, configuration, tokenizer."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
