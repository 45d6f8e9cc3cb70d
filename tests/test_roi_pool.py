"""RoIPool: by hand, against torchvision forward and backward, ties, boxes outside, none."""

from __future__ import annotations

import pytest
import torch
import torchvision

from seglib import ops
from tests.parity import assert_bodies_equal, assert_equal_runs, assert_same, random
from tests.test_roi_align import ROIS

BODIES = ["naive", "scratch", "native"]


@pytest.mark.parametrize("style", BODIES)
def test_by_hand(style: str) -> None:
    features = (torch.arange(5.0)[:, None] * 10 + torch.arange(5.0))[None, None]
    body = getattr(ops.roi_pool, style)
    # 0.6…3.4 px are the cells 1…3; two bins of one and a half cells share the middle one.
    pooled = body(features, torch.tensor([[0.0, 0.6, 0.6, 3.4, 3.4]]), 2)[0, 0]
    assert_same(pooled, torch.tensor([[22.0, 23.0], [32.0, 33.0]]))
    # Halves are rounded away from 0: cells 1…3 again, where round-half-even would begin at 0.
    halves = torch.tensor([[0.0, 0.5, 0.5, 2.5, 2.5]])
    assert_same(body(features, halves, 2)[0, 0], pooled)


@pytest.mark.parametrize("size", [(2, 3), (7, 7), (1, 1)])
@pytest.mark.parametrize("scale", [0.5, 0.3])
def test_bodies_equal_torchvision(size: tuple[int, int], scale: float) -> None:
    features = random(2, 3, 10, 13)
    assert_bodies_equal(ops.roi_pool, torchvision.ops.roi_pool, [features], ROIS, size, scale)


def test_ties_give_the_gradient_to_the_first() -> None:
    features = random(2, 3, 10, 13).relu().round()  # mostly ties
    assert_bodies_equal(ops.roi_pool, torchvision.ops.roi_pool, [features], ROIS, (2, 3), 0.5)


def test_many_boxes() -> None:
    corner, sides = random(60, 2) * 10, random(60, 2, seed=1).abs() * 12
    rois = torch.cat([torch.arange(60.0)[:, None] % 2, corner, corner + sides], dim=1)
    features = random(2, 4, 20, 24)
    for body in (ops.roi_pool.scratch, ops.roi_pool.native):
        assert_equal_runs(body, torchvision.ops.roi_pool, [features], rois, 7, 0.7)


def test_float32_smoke() -> None:
    features = random(2, 3, 10, 13, dtype=torch.float32)
    assert_bodies_equal(
        ops.roi_pool,
        torchvision.ops.roi_pool,
        [features],
        *(ROIS.float(), (3, 5), 0.5),
        tolerance=1e-4,
    )


def test_no_boxes() -> None:
    rois = torch.zeros(0, 5, dtype=torch.float64)
    assert_bodies_equal(ops.roi_pool, torchvision.ops.roi_pool, [random(1, 2, 4, 4)], rois, (2, 3))
    for style in BODIES:  # not even an image
        nothing = getattr(ops.roi_pool, style)(torch.zeros(0, 5, 4, 4), rois, (2, 3))
        assert nothing.shape == (0, 5, 2, 3)


@pytest.mark.parametrize("style", BODIES)
def test_gradcheck(style: str) -> None:
    features = random(1, 2, 6, 6).requires_grad_()
    rois = torch.tensor([[0, 0.7, 1.2, 4.4, 3.9]], dtype=torch.float64)
    body = getattr(ops.roi_pool, style)
    assert torch.autograd.gradcheck(lambda x: body(x, rois, 2), features)


def test_native_writes_channels_last() -> None:
    pooled = ops.roi_pool(random(2, 3, 10, 13), ROIS, 4, 0.5)
    assert pooled.is_contiguous(memory_format=torch.channels_last)
