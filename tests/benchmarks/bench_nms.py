"""Compare Fast and Matrix NMS with greedy NMS, ours and torchvision's; run this file.

Times are medians of runs in turns, so that a busy machine slows all alike. "too many" counts the
boxes that Fast NMS removes and greedy NMS keeps.
"""

from __future__ import annotations

import argparse

import torch
import torchvision
from rich.console import Console
from rich.table import Table
from torch import Tensor

from seglib import ops
from seglib.comparison import medians, seconds_in_turns
from tests.benchmarks.bench_primitives import boxes

THRESHOLD = 0.5
# Boxes, and the side in pixels of the square that has their centres: about the same crowding.
CASES = ((200, 300), (1000, 670), (5000, 1500))


def with_matrix_nms(candidates: Tensor, scores: Tensor) -> Tensor:
    """The lowered scores, with the overlaps that they need."""
    labels = torch.zeros(len(scores), dtype=torch.int64)
    return ops.matrix_nms(ops.box_iou(candidates, candidates), scores, labels)


def main() -> None:
    """Print one line per number of boxes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    columns = ("torchvision", "greedy", "fast", "matrix", "kept by greedy", "too many")
    table = Table("boxes", *columns, title=f"ms per call, threshold {THRESHOLD}")
    for count, field in CASES:
        candidates, scores = boxes(count, field)
        arguments = (candidates, scores, THRESHOLD)
        times = seconds_in_turns(
            {
                "torchvision": lambda a=arguments: torchvision.ops.nms(*a),
                "greedy": lambda a=arguments: ops.nms(*a),
                "fast": lambda a=arguments: ops.fast_nms(*a),
                "matrix": lambda a=arguments: with_matrix_nms(*a[:2]),
            },
            rounds,
        )
        greedy, fast = (len(suppress(*arguments)) for suppress in (ops.nms, ops.fast_nms))
        shown = (f"{1000 * seconds:.2f}" for seconds in medians(times).values())
        table.add_row(str(count), *shown, str(greedy), str(greedy - fast))
    Console().print(table)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
