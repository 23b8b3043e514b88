"""LoRA adapters (Hu et al. 2021), the same for every model that trains one: their configuration, and their end in the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tandem.settings import OpenShare, Rank, Settings

if TYPE_CHECKING:
    from peft import LoraConfig

__all__ = ["Lora", "adapter_config", "merge_adapter"]

# Of the largest output. Merging adds W + s B A once where the adapter adds s B (A x) for each input: two orders of the same float32 sums,
# whose terms number some thousands, each rounded to 6e-8 of its size. Models of 2 to 30 layers differ by 1e-7 to 1e-5 of their largest
# logit; bfloat16, which keeps 8 bits, by 4e-3 and more.
TOLERANCE = 1e-4


class Lora(Settings):
    """An adapter on every linear layer; the score head, where there is one, is trained whole."""

    rank: Rank
    """of the adapter: the columns of its two matrices"""
    alpha: Rank
    """the adapter is scaled by alpha over rank"""
    dropout: OpenShare = 0.0
    """share of the inputs of the adapter that training leaves out"""


def adapter_config(lora: Lora, *, task: str = "CAUSAL_LM") -> LoraConfig:
    """The configuration that peft takes; ``SEQ_CLS`` trains and saves the score head as well."""
    from peft import LoraConfig

    return LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear", task_type=task)


def merge_adapter(model: Any, example: Mapping[str, Tensor], *, trained: bool = True) -> tuple[Any, float]:
    """Merge a model's adapter into its weights, in float32, and check that the model computes what it did.

    A trainer leaves its autocast around the model's ``forward``; it is taken off first, for the merged model has none.

    Args:
        model: a PeftModel, as it was trained.
        example: inputs to compare the outputs on.
        trained: refuse an adapter that is still at its start.

    Returns:
        The merged model, with float32 weights, and the largest difference of an output.

    Raises:
        RuntimeError: the merged model answers differently, or the adapter is still at its start.
    """
    from accelerate.utils import extract_model_from_parallel

    model = extract_model_from_parallel(model, keep_fp32_wrapper=False).float().eval()
    if trained and not any(bool(p.abs().sum() > 0) for name, p in model.named_parameters() if "lora_B" in name):
        raise RuntimeError("the adapter is what it was before training: learning rate or number of steps is zero")
    device = next(model.parameters()).device
    inputs = {name: value.to(device) for name, value in example.items()}
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        before = _outputs(model, inputs)
        merged = model.merge_and_unload()
        after = _outputs(merged, inputs)
    difference, allowed = float((after - before).abs().max()), TOLERANCE * max(1.0, float(before.abs().max()))
    if not difference <= allowed:
        raise RuntimeError(f"merged and adapter outputs differ by {difference:.3g}, {allowed:.3g} is allowed")
    return merged, difference


def _outputs(model: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    output = model(**inputs)
    values: Tensor = output.logits if "logits" in output else output.last_hidden_state
    return values.float()
