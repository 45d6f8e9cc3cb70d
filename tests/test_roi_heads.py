"""Pooling from a pyramid, and the box head: the memory format changes only the time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seglib import SeglibError, ops
from seglib.models.mask_rcnn.box_heads import BoxHead
from seglib.models.mask_rcnn.pooler import PyramidPooler
from tests.parity import assert_same, random

FORMATS = [torch.contiguous_format, torch.channels_last]


def pyramid(layout: torch.memory_format) -> list[Tensor]:
    maps = [random(2, 5, 16 // 2**level, 16 // 2**level, seed=level) for level in range(3)]
    return [m.contiguous(memory_format=layout).requires_grad_() for m in maps]


# A small and a large box in the first image; in the second a medium one between two large ones.
BOXES = [
    torch.tensor([[1.0, 2, 9, 8], [0.0, 0, 60, 62]], dtype=torch.float64),
    torch.tensor([[0.0, 0, 63, 60], [5.0, 6, 33, 34], [3.0, 0, 63, 64]], dtype=torch.float64),
]
LEVELS = [0, 2, 2, 1, 2]


@pytest.mark.parametrize("layout", FORMATS)
def test_boxes_of_all_levels_come_back_in_order(layout: torch.memory_format) -> None:
    maps = pyramid(layout)
    pooled = PyramidPooler(3, (4, 8, 16), 56, 2, True)(maps, BOXES)
    expected = []
    for row, (level, box) in enumerate(zip(LEVELS, torch.cat(BOXES), strict=True)):
        image = box.new_tensor([0.0 if row < 2 else 1.0])
        roi = torch.cat([image, box])[None]
        expected.append(ops.roi_align(maps[level], roi, 3, 1 / (4 * 2**level), 2, True))
    assert_same(pooled, torch.cat(expected))
    weight = random(*pooled.shape, seed=9)
    for gradient in (weight, weight.contiguous(memory_format=torch.channels_last)):
        actual = torch.autograd.grad(pooled, maps, gradient, retain_graph=True)
        truth = torch.autograd.grad(torch.cat(expected), maps, weight, retain_graph=True)
        for a, b in zip(actual, truth, strict=True):
            assert_same(a, b)


def test_pooling_no_boxes() -> None:
    pooled = PyramidPooler(3, (4, 8, 16), 56, 2, True)(
        pyramid(torch.channels_last), [torch.zeros(0, 4), torch.zeros(0, 4)]
    )
    assert pooled.shape == (0, 5, 3, 3)
    pooled.sum().backward()


@pytest.mark.parametrize("boxes", [2, 9], ids=["fewer", "more"])
def test_box_head_reads_either_format(boxes: int) -> None:
    """With fewer boxes than hidden units, and with more."""
    head = BoxHead(5 * 9, 4, 3).double()
    results = []
    for layout in FORMATS:
        pooled = random(boxes, 5, 3, 3).contiguous(memory_format=layout).requires_grad_()
        logits, deltas = head(pooled)
        total = (logits * random(*logits.shape, seed=1)).sum() + deltas.square().sum()
        results.append([logits, deltas, *torch.autograd.grad(total, [pooled, head.fc6.weight])])
    for planar, last in zip(*results, strict=True):
        assert_same(last, planar)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_boxes_that_are_not_finite_are_refused(wrong: float) -> None:
    boxes = torch.tensor([[1.0, 2, 9, 8], [1, 2, wrong, 8]])
    pooler = PyramidPooler(3, (4, 8, 16), 56, 2, True)
    with pytest.raises(SeglibError, match="PyramidPooler needs finite boxes, row 1 is"):
        pooler(pyramid(torch.contiguous_format), [boxes, boxes])
