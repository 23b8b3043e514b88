"""What this machine computes with: the device, and whether bfloat16 pays there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Compute", "Precision", "device_name", "use_bf16"]

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Compute:
    """Where and how something is trained or scored: what every computation needs and none decides."""

    device: str
    """of torch: cpu, cuda"""
    bf16: bool
    """train under bfloat16 autocast; see :func:`use_bf16`"""
    seed: int
    """of everything random"""
    scratch: Path
    """folder of unfinished work, from which a run that was killed goes on"""


def device_name() -> str:
    """``cuda`` where torch sees a GPU, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def use_bf16(precision: Precision) -> bool:
    """Whether to train under bfloat16 autocast.

    ``auto`` says yes on a GPU that has it and on a CPU with AMX tiles or AVX512-BF16; elsewhere a CPU emulates it, and a
    training step of a 7M-parameter Llama took 6.8 s in bfloat16 and 2.6 s in float32 (docs/findings.md). Results differ in the last
    digits between the two, so the same parameters give the same bytes only on one kind of processor and in one precision
    (docs/reproducibility.md).
    """
    import torch

    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
