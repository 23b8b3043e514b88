"""Which of several processes this is, as torchrun, accelerate and DeepSpeed say it in the environment; one process where nobody does."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "all_reduce_mean",
    "all_reduce_sum",
    "average_gradients",
    "barrier",
    "gather",
    "gather_rows",
    "gather_weights",
    "init_processes",
    "is_main_process",
    "process_rank",
    "world_size",
]


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this is the one that writes and is tracked."""
    return process_rank() == 0


def process_rank() -> int:
    """Which of the processes this is, from 0."""
    return int(os.environ.get("RANK", "0"))


def init_processes() -> None:
    """Let all processes find each other, for stages without the Hugging Face trainer, which does it by itself; nothing to do for one."""
    import torch

    if world_size() > 1 and not torch.distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def all_reduce_sum(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes; itself for one."""
    import torch

    if world_size() > 1:
        value = value.clone()
        torch.distributed.all_reduce(value)
    return value


def gather(values: Sequence[Any]) -> list[Any]:
    """The values of all processes, process by process."""
    import torch

    if world_size() == 1:
        return list(values)
    shares: list[Any] = [None] * world_size()
    torch.distributed.all_gather_object(shares, list(values))
    return [value for share in shares for value in share]


def gather_rows(tensor: Tensor) -> Tensor:
    """The rows of all processes, process by process, each through to its own gradients; itself for one process.

    What any process computes of a row adds to that row's gradient in the process that it is from. With the mean of gradients over
    processes, that of DDP, the gradient is that of the mean of all processes' losses: of one process with all rows.

    Args:
        tensor: of the same shape in every process.
    """
    if world_size() == 1:
        return tensor
    import torch
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(tensor))  # type: ignore[no-untyped-call]


def all_reduce_mean(metrics: Mapping[str, float]) -> dict[str, float]:
    """Each metric's mean over the processes."""
    if world_size() == 1:
        return dict(metrics)
    import torch

    values = all_reduce_sum(torch.tensor(list(metrics.values()), dtype=torch.float64)) / world_size()
    return dict(zip(metrics, values.tolist(), strict=True))


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Put the mean over all processes in place of each gradient; nothing to do for one."""
    if world_size() == 1:
        return
    import torch

    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    flat = all_reduce_sum(flat) / world_size()
    for gradient, mean in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def gather_weights(trainer: Any) -> None:
    """Make a model whole again in every process that ZeRO-3 has parted between them; nothing to do for any other.

    Args:
        trainer: of transformers, when it has trained; it cannot train on.
    """
    parted = [parameter for parameter in trainer.model.parameters() if hasattr(parameter, "ds_id")]
    if not parted:
        return
    import deepspeed
    from torch import nn

    with deepspeed.zero.GatheredParameters(parted):
        whole = {id(p): nn.Parameter(p.data.clone(), requires_grad=p.requires_grad) for p in parted}
    trainer.model_wrapped.destroy()  # takes DeepSpeed's hooks off the modules
    for module in trainer.model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in whole:
                setattr(module, name, whole[id(parameter)])


def barrier() -> None:
    """Wait until every process has come here, where they have met at all."""
    torch = sys.modules.get("torch")
    if world_size() > 1 and torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
