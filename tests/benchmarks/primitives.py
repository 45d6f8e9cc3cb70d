"""Time each primitive's bodies: python tests/benchmarks/primitives.py [--repeat N]

Sizes are those of a pocket model; the naive bodies, which are loops, get a smaller case. What
dispatching costs is printed last (the registry promises under 2 µs a call).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from seglib.ops.boxes import box_iou
from seglib.ops.convolution import conv2d
from seglib.ops.losses import cross_entropy
from seglib.ops.nms import nms
from seglib.ops.pooling import max_pool2d
from seglib.ops.transposed_convolution import conv_transpose2d

Arguments = tuple


def boxes(count: int) -> torch.Tensor:
    """Random boxes [count, 4] in a 128 px image."""
    corners = torch.rand(count, 2) * 100
    return torch.cat([corners, corners + 4 + 24 * torch.rand(count, 2)], dim=1)


def cases(full: bool) -> dict[Callable, Arguments]:
    """Arguments for each primitive, of a pocket model's size or of a size for loops."""
    batch, channels, side, count = (8, 32, 32, 1000) if full else (1, 4, 8, 40)
    x = torch.rand(batch, channels, side, side)
    weight = torch.rand(channels, channels, 3, 3)
    labels = torch.randint(0, channels, (batch, side, side))
    return {
        conv2d: (x, weight, None, 1, 1),
        conv_transpose2d: (x, weight, None, 2, 1),
        max_pool2d: (x, 2),
        cross_entropy: (x, labels),
        box_iou: (boxes(count), boxes(count)),
        nms: (boxes(count), torch.rand(count), 0.5),
    }


def milliseconds(call: Callable[[], object], repeat: int) -> float:
    """The median time of one call after a warm-up."""
    call()
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


def main() -> None:
    """Print a table of all bodies, and the cost of dispatching."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=10)
    repeat = parser.parse_args().repeat
    torch.manual_seed(0)
    table = Table("primitive", "naive, small", "scratch, small", "scratch", "native", title="ms")
    small, full = cases(full=False), cases(full=True)
    for function, arguments in full.items():
        tiny = small[function]
        rows = [(function.naive, tiny), (function.scratch, tiny)]
        rows += [(function.scratch, arguments), (function.native, arguments)]
        times = [milliseconds(lambda b=body, a=args: b(*a), repeat) for body, args in rows]
        table.add_row(function.__name__, *(f"{value:.3f}" for value in times))
    Console().print(table)
    pair = boxes(1), boxes(1)
    through = milliseconds(lambda: [box_iou(*pair) for _ in range(1000)], repeat)
    direct = milliseconds(lambda: [box_iou.native(*pair) for _ in range(1000)], repeat)
    print(f"dispatching: {through - direct:+.2f} µs per call")


if __name__ == "__main__":
    main()
