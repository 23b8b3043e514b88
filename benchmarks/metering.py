"""Tokens a second of a module while it is trained, the ceiling of a device, and the table that gpu.py puts into docs/performance.md."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from tandem.formats.jsonl import write_text

MARKS = ("<!-- gpu: begin -->", "<!-- gpu: end -->")


class Meter:
    """Counts the tokens of a module's forward passes that gradients follow, and the seconds from the second pass to the end."""

    def __init__(self, module: Any, operations: int) -> None:
        self.operations, self.tokens, self.passes, self.started = operations, 0, 0, 0.0
        self.parameters = sum(p.numel() for p in module.parameters())
        module.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not torch.is_grad_enabled():
            return
        self.passes += 1
        if self.passes == 2:  # the first one warms up
            _wait()
            self.started = time.perf_counter()
        if self.passes > 1:
            features = given[0] if given and isinstance(given[0], dict) else named  # sentence-transformers' modules take one dict
            self.tokens += int(features["attention_mask"].sum())

    def row(self, name: str, ceiling: float) -> str:
        """A row of the table."""
        _wait()
        speed = self.tokens / (time.perf_counter() - self.started)
        memory = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
        reached = speed * self.operations * self.parameters / 1e12
        return f"| {name} | {self.parameters / 1e6:,.0f} M | {speed:,.0f} | {memory:.1f} | {reached:.1f} | {reached / ceiling:.0%} |"


class Put:
    """Takes the module that a stage is to be metered on."""

    meter: Meter

    def __call__(self, module: Any, operations: int) -> None:
        """Meter this module, whose parameters take so many operations a token each."""
        self.meter = Meter(module, operations)


def measure_ceiling(device: str, size: int) -> float:
    """TFLOP/s of the best of ten products of square matrices, in bfloat16 on a GPU."""
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
    seconds = []
    for _ in range(10):
        _wait()
        started = time.perf_counter()
        one @ one
        _wait()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds) / 1e12


def write_down(path: Path, text: str) -> None:
    """Put the table between its marks."""
    before, _, rest = path.read_text(encoding="utf8").partition(MARKS[0])
    write_text(path, f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
