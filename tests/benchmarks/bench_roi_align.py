"""Compare RoIAlign with torchvision's, forward and backward; run with OMP_NUM_THREADS=1.

Medians of alternating runs, so that a busy machine slows both sides alike.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
import torchvision
from torch import Tensor

from seglib import ops

# (side of the map, channels, images, boxes, their mean side in cells, bins, sampling ratio). The
# level rule of the pyramid sends boxes of 14 to 28 cells to each map.
CASES = [
    (80, 256, 1, 512, 21, 7, 2),
    (80, 256, 1, 512, 21, 14, 2),
    (32, 256, 1, 512, 21, 7, 2),
    (32, 256, 1, 512, 21, 14, 2),
    (80, 256, 1, 512, 21, 7, 0),
    (32, 64, 8, 512, 21, 7, 2),
    (320, 1, 8, 128, 120, 28, 0),  # targets of a mask head
]


def scene(side: int, channels: int, images: int, count: int, box: int) -> tuple[Tensor, Tensor]:
    """Random features, and boxes inside the map with sides of 2/3 to 4/3 of `box` cells."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(images, channels, side, side, generator=generator)
    center = torch.rand(count, 2, generator=generator) * side
    half = (torch.rand(count, 2, generator=generator) + 1) * box / 3
    boxes = torch.cat([center - half, center + half], dim=1).clamp(0, side)
    return features, torch.cat([torch.arange(count)[:, None] % images, boxes], dim=1)


def timed(function: object, features: Tensor, gradient: Tensor, *settings: object) -> list[float]:
    """Seconds forward, and backward."""
    leaf = features.detach().requires_grad_()
    start = time.perf_counter()
    pooled = function(leaf, *settings)  # type: ignore[operator]
    middle = time.perf_counter()
    pooled.backward(gradient)
    return [middle - start, time.perf_counter() - middle]


def main() -> None:
    """Print a line for every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    for side, channels, images, count, box, bins, ratio in CASES:
        features, rois = scene(side, channels, images, count, box)
        last = features.to(memory_format=torch.channels_last)
        gradient = torch.randn(count, channels, bins, bins)
        settings = (rois, bins, 1.0, ratio, False)
        # Each side in its best memory format; ours also as the other's, "planar".
        runs = {
            "ours": (ops.roi_align, last, gradient.to(memory_format=torch.channels_last)),
            "planar": (ops.roi_align, features, gradient),
            "torchvision": (torchvision.ops.roi_align, features, gradient),
        }
        seconds: dict[str, list[list[float]]] = {name: [] for name in runs}
        for _ in range(rounds + 1):
            for name, run in runs.items():
                seconds[name].append(timed(*run, *settings))
        medians = {
            name: [statistics.median(part) for part in zip(*times[1:], strict=True)]
            for name, times in seconds.items()
        }
        print(
            f"{side} cells, {channels} channels x {images}, {count} boxes of {box}, "
            f"{bins} bins, S={ratio}:"
        )
        theirs = sum(medians["torchvision"])
        for name, (forward, backward) in medians.items():
            print(
                f"  {name:11s} {1e3 * forward:7.1f} + {1e3 * backward:7.1f} ms, "
                f"ratio {(forward + backward) / theirs:.2f}"
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
