"""A causal language model by name, and adapters on it: what every generator stage starts from and leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tandem.formats.jsonl import write_json
from tandem.runtime.weights import refuse_new_weights

__all__ = ["PROMPT_FILE", "load_generator", "resolve_generator", "save_generator", "settle_pad_token"]

PROMPT_FILE = "prompt.json"
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
    """The model and its tokenizer, padded on the left, with a pad token of its own and end tokens that sampling stops at.

    What the tokenizer lacks is settled here, before anything is trained: GPT-2, Pythia and SmolLM pad with their end token, and their
    unknown token is the same. The model's own sampling settings are left behind; temperature and the like come from params.yaml, and some
    published combinations are refused by transformers when they are saved.

    Args:
        name: for :func:`resolve_generator`.
        device: to put the model on.
        bf16: hold the weights in bfloat16, else float32, whatever they were saved in.

    Raises:
        ValueError: the tokenizer has no end token.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = resolve_generator(name)
    tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
    if tokenizer.eos_token_id is None:
        raise ValueError(f"{name}: its tokenizer has no end token, and a query must end; set eos_token in its tokenizer_config.json")
    with refuse_new_weights(name, instead="take a whole causal language model"):
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16 if bf16 else torch.float32)
    settle_pad_token(model, tokenizer)
    model.generation_config = _plain_generation_config(model, tokenizer)
    return model.to(device), tokenizer


def settle_pad_token(model: Any, tokenizer: Any) -> None:
    """Give a tokenizer a pad token that is no end token, and the model a row for it.

    With pad = end, the end is masked out of every loss and the model never learns to stop.
    """
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id != tokenizer.eos_token_id:
            tokenizer.pad_token = tokenizer.unk_token
        else:
            tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id


def _plain_generation_config(model: Any, tokenizer: Any) -> Any:
    """Special tokens alone: a chat model's end of turn, and the end token that fine-tuning teaches; either ends a query."""
    from transformers import GenerationConfig

    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends] if ends is not None else []
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=sorted({*ends, tokenizer.eos_token_id}), pad_token_id=tokenizer.pad_token_id
    )


def save_generator(model: Any, tokenizer: Any, folder: Path, *, prompt: Mapping[str, Any] | None = None) -> None:
    """Write a whole model folder: weights as safetensors, configuration, tokenizer, and how its prompts are made.

    Args:
        model: to write.
        tokenizer: its tokenizer.
        folder: to write into.
        prompt: ``template`` and ``document_tokens``, for whoever serves the model; None writes none.
    """
    logging.getLogger("transformers").setLevel(logging.ERROR)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if prompt is not None:
        write_json(folder / PROMPT_FILE, {key: prompt[key] for key in ("template", "document_tokens")})
