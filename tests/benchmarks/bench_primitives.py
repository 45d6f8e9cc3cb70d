"""Measure the cost of a swappable call, and compare NMS with torchvision's; run this file.

Medians of alternating runs, so that a busy machine slows both sides alike.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision
from torch import Tensor

from seglib import ops, primitives
from seglib.comparison import medians, seconds_in_turns


def compare(
    first: Callable[[], object], second: Callable[[], object], rounds: int = 31, repeats: int = 1
) -> tuple[float, float]:
    """Median seconds per call of each, measured in turns of `repeats` calls."""

    def repeated(call: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(repeats):
                call()

        return run

    calls = {"first": repeated(first), "second": repeated(second)}
    ours, theirs = medians(seconds_in_turns(calls, rounds)).values()
    return ours / repeats, theirs / repeats


def dispatch_overhead() -> None:
    """Time an empty primitive, called through the registry and directly."""

    @primitives.primitive()
    def nothing(x: object) -> object:
        """Return x."""
        return x

    def student(x: object) -> object:
        return x

    for label, bodies in (("native", {}), ("replacement", {"nothing": student})):
        with primitives.use(**bodies):
            through, direct = compare(lambda: nothing(1), lambda: nothing.native(1), repeats=20_000)
        print(f"dispatch, {label:11s} {1e6 * (through - direct):6.3f} µs per call (limit 2)")


def boxes(count: int, field: float) -> tuple[Tensor, Tensor]:
    """Boxes of 10 to 110 px with centres in a square of `field` px."""
    generator = torch.Generator().manual_seed(0)
    center = torch.rand(count, 2, generator=generator) * field
    half = torch.rand(count, 2, generator=generator) * 50 + 5
    return torch.cat([center - half, center + half], dim=1), torch.rand(count, generator=generator)


def nms_beside_torchvision() -> None:
    """Time NMS on boxes from heavily overlapping to scattered."""
    for count in (100, 1000, 2000, 5000):
        for field in (200, 600, 3000):
            for threshold in (0.5, 0.7):
                candidates, scores = boxes(count, field)
                arguments = (candidates, scores, threshold)
                ours, theirs = compare(
                    lambda a=arguments: ops.nms(*a),
                    lambda a=arguments: torchvision.ops.nms(*a),
                )
                kept = ops.nms(*arguments)
                assert torch.equal(kept, torchvision.ops.nms(*arguments))
                print(
                    f"nms {count:5d} boxes in {field:4d} px, threshold {threshold}: "
                    f"{len(kept):4d} kept, {1e3 * ours:6.2f} ms, "
                    f"torchvision {1e3 * theirs:6.2f} ms, ratio {ours / theirs:.2f}"
                )


if __name__ == "__main__":
    torch.set_num_threads(1)
    dispatch_overhead()
    nms_beside_torchvision()
