"""What a loss needs to know when several processes train one model together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """How many processes train together; 1 when torch.distributed is not in use."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def global_mean_count(count: Tensor | float) -> Tensor:
    """The mean over all processes of a count (valid pixels, positives, objects), to divide by.

    Dividing each process's summed loss by its own count would weigh a process with few pixels
    like one with many. With this mean, the average of gradients that DistributedDataParallel
    takes is the gradient of one process on the joined batch.

    Args:
        count: a scalar, this process's own.

    Returns:
        scalar float tensor, at least 1 / world_size, without gradient. On one process: the
        count itself, at least 1.
    """
    total = torch.as_tensor(count).detach().clone()
    total = total if total.is_floating_point() else total.to(torch.float32)
    if world_size() > 1:
        dist.all_reduce(total)
    return total.clamp(min=1) / world_size()


def image_generators(image_ids: Sequence[int]) -> list[torch.Generator]:
    """A random generator for each image of a training step, for sampling boxes or patches.

    What is drawn for an image depends on the step and the image alone, not on the batch or the
    process it is in, so that several processes draw what one would. The step is one number of
    PyTorch's own generator: seeding makes runs repeatable, resuming goes on where it was. Dropout
    takes its numbers from there, too, more for a larger batch: with it, only the first step of
    several processes is that of one.

    Args:
        image_ids: of the images in the batch.

    Returns:
        generators on the CPU.
    """
    step = int(torch.randint(2**31, ()).item())
    # PyTorch's generator takes in only the lower half of a seed's 64 bits, so mix them first.
    seeds = [np.random.SeedSequence([step, image_id % 2**32]) for image_id in image_ids]
    return [torch.Generator().manual_seed(int(seed.generate_state(1)[0])) for seed in seeds]
