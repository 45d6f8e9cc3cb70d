"""RoIAlign: by hand, golden, against torchvision forward and backward, boxes outside, none."""

from __future__ import annotations

import pytest
import torch
import torchvision

from seglib import ops
from tests.helpers import golden
from tests.parity import assert_bodies_equal, assert_equal_runs, assert_same, random

BODIES = ["naive", "scratch", "native"]

# In pixels of a map of 10 x 13 cells at stride 2: inside, across each border, far outside, a
# point, a line, swapped corners, larger than the map, a fraction of a cell.
ROIS = torch.tensor(
    [
        [0, 2.3, 3.1, 14.7, 12.9],
        [1, -5.2, 4.4, 6.1, 15.3],
        [0, 17.5, 12.2, 33.3, 27.1],
        [1, 200.0, 200.0, 240.0, 230.0],
        [0, 7.0, 7.0, 7.0, 7.0],
        [1, 3.3, 9.1, 19.7, 9.1],
        [1, 15.0, 14.2, 6.5, 5.1],
        [0, -30.0, -20.0, 60.0, 50.0],
        [1, 8.2, 8.3, 8.6, 8.4],
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize("style", BODIES)
def test_by_hand(style: str) -> None:
    # Cell (y, x) holds 10·y + x: a bilinear sample at (y, x) is 10·y + x too.
    features = (torch.arange(4.0)[:, None] * 10 + torch.arange(4.0))[None, None]
    box = torch.tensor([[0.0, 0.5, 0.5, 2.5, 2.5]])
    body = getattr(ops.roi_align, style)
    # Aligned: cells 0…2, bins of one cell centred at 0.5 and 1.5.
    assert_same(body(features, box, 2, 1.0, 1)[0, 0], torch.tensor([[5.5, 6.5], [15.5, 16.5]]))
    # Not aligned: half a cell further down and to the right.
    unaligned = body(features, box, 2, 1.0, 1, False)[0, 0]
    assert_same(unaligned, torch.tensor([[11.0, 12.0], [21.0, 22.0]]))
    # The average of many samples of a plane is the sample at the centre.
    assert_same(body(features, box, 1, 1.0, 4)[0, 0], torch.tensor([[11.0]]), 1e-6)


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("case", ["ratio2", "adaptive"])
def test_golden(style: str, case: str) -> None:
    arrays = golden("roi_align")[case]
    features, rois = (torch.from_numpy(arrays["in"][name]) for name in ("features", "rois"))
    size = tuple(arrays["par"]["output_size"].tolist())
    scale, ratio = float(arrays["par"]["spatial_scale"]), int(arrays["par"]["sampling_ratio"])
    for aligned, name in ((True, "aligned"), (False, "legacy")):
        pooled = getattr(ops.roi_align, style)(features, rois, size, scale, ratio, aligned)
        expected = torch.from_numpy(arrays["out"][name])
        torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 1, 2, 3])
@pytest.mark.parametrize("channels", [1, 5])
def test_bodies_equal_torchvision(channels: int, ratio: int, aligned: bool) -> None:
    features = random(2, channels, 10, 13)
    assert torchvision.ops.roi_align(features, ROIS, (2, 3), 0.5, ratio, aligned)[0].all()
    assert_bodies_equal(
        ops.roi_align, torchvision.ops.roi_align, [features], ROIS, (2, 3), 0.5, ratio, aligned
    )


def test_many_boxes_of_all_sizes() -> None:
    corner, sides = random(40, 2).abs() * 10, random(40, 2, seed=1).abs() * 12
    rois = torch.cat([torch.arange(40.0)[:, None] % 2, corner, corner + sides], dim=1)
    features = random(2, 4, 20, 24)
    assert_equal_runs(
        ops.roi_align.native, torchvision.ops.roi_align, [features], rois, 7, 1.0, 0, True
    )


def test_float32_smoke() -> None:
    features = random(2, 5, 10, 13, dtype=torch.float32)
    assert_bodies_equal(
        ops.roi_align,
        torchvision.ops.roi_align,
        [features],
        *(ROIS.float(), 7, 0.5, 2, False),
        tolerance=1e-4,
    )


def test_no_boxes() -> None:
    rois = torch.zeros(0, 5, dtype=torch.float64)
    for channels in (1, 5):
        features = random(1, channels, 4, 4)
        assert_bodies_equal(ops.roi_align, torchvision.ops.roi_align, [features], rois, (2, 3))
    for style in BODIES:  # not even an image
        nothing = getattr(ops.roi_align, style)(torch.zeros(0, 5, 4, 4), rois, (2, 3))
        assert nothing.shape == (0, 5, 2, 3)


@pytest.mark.parametrize("style", BODIES)
def test_gradcheck(style: str) -> None:
    features = random(1, 4, 5, 6).requires_grad_()
    rois = torch.tensor([[0, 0.3, 0.7, 4.4, 3.9]], dtype=torch.float64)
    body = getattr(ops.roi_align, style)
    assert torch.autograd.gradcheck(lambda x: body(x, rois, 2, 1.0, 2), features)


@pytest.mark.parametrize("style", BODIES)
def test_no_gradient_flows_into_the_boxes(style: str) -> None:
    rois = ROIS[:2].clone().requires_grad_()
    features = random(2, 1, 10, 13).requires_grad_()
    getattr(ops.roi_align, style)(features, rois, 2, 0.5).sum().backward()
    assert rois.grad is None


def test_native_reads_both_memory_formats_and_writes_channels_last() -> None:
    features = random(2, 6, 10, 13)
    other = features.to(memory_format=torch.channels_last)
    pooled = ops.roi_align(features, ROIS, 4, 0.5, 2)
    assert torch.equal(ops.roi_align(other, ROIS, 4, 0.5, 2), pooled)
    assert pooled.is_contiguous(memory_format=torch.channels_last)


def test_half_precision_features() -> None:
    features = random(2, 8, 10, 13).float()
    pooled = ops.roi_align(features.bfloat16(), ROIS.float(), 3, 0.5, 2)
    assert pooled.dtype == torch.bfloat16
    assert_same(pooled.float(), ops.roi_align(features, ROIS.float(), 3, 0.5, 2), 0.05)
