"""Several processes training one model: `torchrun --nproc-per-node 2 -m seglib.cli train …`.

Every process holds the whole model and a share of the batch. After the backward pass the
gradients are averaged, so all copies take the same step. The average equals the gradient of
one process on the joined batch when each loss divides by a normaliser that is itself averaged
over the processes (`seglib.distributed`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are; (0, 1) outside torchrun."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


@contextmanager
def process_group() -> Iterator[None]:
    """Join the group that torchrun announced in the environment, for a `with` block."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes; a missing gradient counts as zero."""
    _, world = rank_and_world()
    if world == 1:
        return
    trained = [p for p in parameters if p.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    joined = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(joined)
    joined /= world
    for parameter, part in zip(trained, joined.split([p.numel() for p in trained]), strict=True):
        parameter.grad = part.view(parameter.shape).clone()


def average(values: Tensor) -> Tensor:
    """The mean of a tensor over the processes."""
    _, world = rank_and_world()
    if world > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= world
    return values


def anywhere(happened: bool) -> bool:
    """Whether something happened in any of the processes, so that all do the same about it."""
    return bool(average(torch.tensor(float(happened))) > 0)


def share_state(model: nn.Module) -> None:
    """Give every process the weights and buffers of process 0."""
    _, world = rank_and_world()
    if world > 1:
        for value in model.state_dict().values():
            shared = value.contiguous()
            dist.broadcast(shared, src=0)
            value.copy_(shared)


def gather(value: Any) -> list[Any]:
    """What every process holds, in process order."""
    _, world = rank_and_world()
    if world == 1:
        return [value]
    values: list[Any] = [None] * world
    dist.all_gather_object(values, value)
    return values
