"""Several processes training one model: `torchrun --nproc-per-node 2 -m seglib.cli train …`.

Every process has the whole model and a share of the batch. After the backward pass the
gradients are averaged, so that all copies take the same step. The average equals the gradient of
one process on the joined batch if each loss divides by `global_mean_count` of what it sums over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn


def rank() -> int:
    """The number of this process; 0 outside `process_group`."""
    return dist.get_rank() if _is_active() else 0


def world_size() -> int:
    """How many processes train together; 1 outside `process_group`."""
    return dist.get_world_size() if _is_active() else 1


def _is_active() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the group that torchrun announced in the environment, for a `with` block.

    Args:
        device: where this process computes. Tensors on a GPU use NCCL, others gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes; a missing gradient counts as zero."""
    if world_size() == 1:
        return
    trained = [p for p in parameters if p.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    joined = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(joined)
    joined /= world_size()
    for parameter, part in zip(trained, joined.split([p.numel() for p in trained]), strict=True):
        parameter.grad = part.view(parameter.shape).clone()


def average(values: Tensor) -> Tensor:
    """The mean of a tensor over the processes."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= world_size()
    return values


def global_mean_count(count: Tensor | float) -> Tensor:
    """The mean over all processes of a count (valid pixels, positives, objects), to divide by.

    Dividing each process's summed loss by its own count would give a process with few pixels the
    same weight as one with many.

    Args:
        count: a scalar, the count of this process.

    Returns:
        scalar float tensor without gradient, at least 1 / world_size. With one process, it is the
        count itself, or 1 if that is smaller.
    """
    total = torch.as_tensor(count).detach().clone()
    total = total if total.is_floating_point() else total.to(torch.float32)
    if world_size() > 1:
        dist.all_reduce(total)
    return total.clamp(min=1) / world_size()


def in_any_process(happened: bool) -> bool:
    """Whether something happened in any of the processes, so that all can react in the same way."""
    return bool(average(torch.tensor(float(happened))) > 0)


def broadcast_state(model: nn.Module) -> None:
    """Give every process the weights and buffers of process 0."""
    if world_size() > 1:
        for value in model.state_dict().values():
            shared = value.contiguous()
            dist.broadcast(shared, src=0)
            value.copy_(shared)


def gather(value: Any) -> list[Any]:
    """The objects of all processes, in the order of their ranks."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def image_generators(image_ids: Sequence[int]) -> list[torch.Generator]:
    """A random generator for each image of a training step, for sampling boxes or patches.

    What is sampled for an image depends only on the step and the image, not on the batch, the
    process or the device, so that several processes sample the same as one. The step enters as one
    number of PyTorch's own generator: seeding makes runs repeatable, and resuming continues the
    same sequence. Dropout also takes its numbers from this generator, and more of them for a larger
    batch: with dropout, only the first step of several processes equals that of one.

    Args:
        image_ids: the ids of the images in the batch.

    Returns:
        generators on the CPU.
    """
    step = int(torch.randint(2**31, ()).item())
    # PyTorch's generator takes in only the lower half of a seed's 64 bits, so mix them first.
    seeds = [np.random.SeedSequence([step, image_id % 2**32]) for image_id in image_ids]
    return [torch.Generator().manual_seed(int(seed.generate_state(1)[0])) for seed in seeds]
