"""LoRA adapters (Hu et al. 2021), the same for every model that trains one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Lora", "adapter_config"]


class Lora(BaseModel):
    """An adapter on every linear layer; the score head, where there is one, is trained whole."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    rank: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)


def adapter_config(*, rank: int, alpha: int, dropout: float, task: str = "CAUSAL_LM") -> Any:
    """The configuration that peft takes; ``SEQ_CLS`` trains and saves the score head as well."""
    from peft import LoraConfig

    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear", task_type=task)
