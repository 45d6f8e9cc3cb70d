"""coord_conv: by hand, against a convolution over stacked maps, images inside padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seglib import SeglibError, ops
from seglib.ops.coord_conv import coordinates
from tests.parity import assert_bodies_equal, assert_same, random

BODIES = ["naive", "scratch", "native"]


def test_coordinates_run_from_border_to_border() -> None:
    maps = coordinates(torch.zeros(1, 7, 2, 5))
    assert maps.shape == (1, 2, 2, 5)
    assert maps[0, 0].tolist() == [[-1, -0.5, 0, 0.5, 1]] * 2
    assert maps[0, 1].tolist() == [[-1] * 5, [1] * 5]
    assert coordinates(torch.zeros(1, 7, 1, 1)).tolist() == [[[[-1]], [[-1]]]]


def test_coordinates_of_an_image_do_not_depend_on_its_padding() -> None:
    alone = coordinates(torch.zeros(1, 1, 3, 5))
    padded = coordinates(torch.zeros(2, 1, 4, 9), sizes=[(4, 9), (3, 5)])
    assert_same(padded[1:, :, :3, :5], alone)
    assert_same(padded[:1], coordinates(torch.zeros(1, 1, 4, 9)))


@pytest.mark.parametrize("style", BODIES)
def test_a_kernel_can_return_the_coordinates(style: str) -> None:
    x, weight = torch.zeros(1, 1, 2, 3), torch.tensor([0.0, 1.0, 10.0]).reshape(1, 3, 1, 1)
    found = getattr(ops.coord_conv, style)(x, weight)
    assert found[0, 0].tolist() == [[-11, -10, -9], [9, 10, 11]]


@pytest.mark.parametrize("axes", ["x", "y", "xy"])
@pytest.mark.parametrize("sizes", [None, [(4, 5), (3, 2)]], ids=["whole", "padded"])
def test_bodies_equal_a_convolution_over_stacked_maps(
    axes: str, sizes: list[tuple[int, int]] | None
) -> None:
    x, weight, bias = random(2, 3, 4, 5), random(4, 3 + len(axes), 3, 3, seed=1), random(4, seed=2)

    def reference(x: Tensor, weight: Tensor, bias: Tensor, *_: object) -> Tensor:
        maps = torch.zeros(2, 2, 4, 5, dtype=x.dtype)
        for own, (height, width) in zip(maps, sizes or [(4, 5)] * 2, strict=True):
            own[0] = 2 * torch.arange(5).double() / (width - 1) - 1
            own[1] = (2 * torch.arange(4).double() / (height - 1) - 1)[:, None]
        chosen = maps[:, ["xy".index(axis) for axis in axes]]
        return F.conv2d(torch.cat([x, chosen], 1), weight, bias, padding=1)

    assert_bodies_equal(ops.coord_conv, reference, [x, weight, bias], 1, axes, sizes)


@pytest.mark.parametrize("style", BODIES)
def test_refuses_what_does_not_fit(style: str) -> None:
    body = getattr(ops.coord_conv, style)
    with pytest.raises(SeglibError, match=r"\[4, 3, 1, 1\] .* \[1, 3, 2, 2\]"):
        body(torch.zeros(1, 3, 2, 2), torch.zeros(4, 3, 1, 1))
    with pytest.raises(SeglibError, match="axes"):
        body(torch.zeros(1, 3, 2, 2), torch.zeros(4, 5, 1, 1), axes="yx")
