"""The bilinear kernel against the golden vectors; resizing against torch.nn.functional."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from seglib import SeglibError, ops
from tests.helpers import golden
from tests.parity import assert_bodies_equal, assert_same, random

BODIES = ["naive", "scratch", "native"]


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("case", ["k4", "k16"])
def test_kernel_golden(style: str, case: str) -> None:
    arrays = golden("fcn_bilinear_kernel")[case]
    kernel = getattr(ops.bilinear_kernel, style)(int(arrays["par"]["size"]))
    expected = torch.from_numpy(arrays["out"]["kernel"])
    torch.testing.assert_close(kernel, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("style", BODIES)
def test_upsampling_golden(style: str) -> None:
    arrays = golden("fcn_bilinear_kernel")["up2"]
    weight = ops.bilinear_upsample_kernel(3, int(arrays["par"]["stride"]))
    x = torch.from_numpy(arrays["in"]["x"])
    y = getattr(ops.conv_transpose2d, style)(x, weight, stride=2)
    torch.testing.assert_close(y, torch.from_numpy(arrays["out"]["y"]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize(("size", "row"), [(1, [1.0]), (3, [0.5, 1.0, 0.5])])
def test_odd_kernels_by_hand(style: str, size: int, row: list[float]) -> None:
    kernel = getattr(ops.bilinear_kernel, style)(size)
    assert torch.equal(kernel, torch.outer(torch.tensor(row), torch.tensor(row)))


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_kernel_stamps_add_up_to_bilinear_interpolation(stride: int) -> None:
    x = random(1, 2, 5, 6, dtype=torch.float32)
    weight = ops.bilinear_upsample_kernel(2, stride)
    y = ops.conv_transpose2d(x, weight, stride=stride, padding=stride // 2)
    truth = F.interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
    inner = slice(stride, -stride)  # at the border interpolation repeats, stamps fade out
    assert_same(y[..., inner, inner], truth[..., inner, inner], 1e-5)


@pytest.mark.parametrize("style", BODIES)
def test_kernel_refuses_a_size_of_zero(style: str) -> None:
    with pytest.raises(SeglibError, match="at least 1"):
        getattr(ops.bilinear_kernel, style)(0)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(10, 14), (3, 4), (5, 7), (1, 1), (13, 2)], ids=str)
def test_interpolate_bodies_equal_torch(mode: str, size: tuple[int, int]) -> None:
    def reference(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, size, mode=mode)

    x = random(2, 2, 5, 7)
    bodies = ops.interpolate
    for body in BODIES:
        assert_same(getattr(bodies, body)(x, size, mode), reference(x))
    assert_bodies_equal(bodies, lambda a, *_: reference(a), [x], size, mode)


def test_interpolate_float32_smoke() -> None:
    x = random(1, 2, 5, 7, dtype=torch.float32)
    expected = F.interpolate(x, (8, 9), mode="bilinear")
    for style in BODIES:
        assert_same(getattr(ops.interpolate, style)(x, (8, 9)), expected, 1e-4)


@pytest.mark.parametrize("style", BODIES)
def test_interpolate_refuses_other_modes(style: str) -> None:
    with pytest.raises(SeglibError, match="bicubic"):
        getattr(ops.interpolate, style)(torch.zeros(1, 1, 2, 2), (4, 4), "bicubic")
