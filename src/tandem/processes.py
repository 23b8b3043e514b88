"""Which of several processes this is, as torchrun, accelerate and DeepSpeed say it in the environment; one process where nobody does."""

from __future__ import annotations

import os
import sys

__all__ = ["is_main_process", "process_count", "wait_for_all"]


def process_count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this is the one that writes and is tracked."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_all() -> None:
    """Wait until every process has come here, where they have met at all."""
    torch = sys.modules.get("torch")
    if process_count() > 1 and torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
