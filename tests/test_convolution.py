"""conv2d and conv_transpose2d: by hand, against torch.nn.functional, and their invariants."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seglib import SeglibError, ops
from tests.parity import assert_bodies_equal, assert_same, random

BODIES = ["naive", "scratch", "native"]

# kernel, stride, padding, dilation, groups
CONVOLUTIONS = [
    ((3, 3), 1, 1, 1, 1),
    ((1, 1), 1, 0, 1, 1),
    ((2, 3), (2, 1), (1, 0), 1, 1),
    ((3, 2), 2, 0, (1, 2), 2),
    ((3, 3), (1, 2), 2, 2, 4),
]


@pytest.mark.parametrize("style", BODIES)
def test_conv2d_by_hand(style: str) -> None:
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    kernel = torch.tensor([[[[1.0, 0.0], [0.0, -1.0]]]])
    y = getattr(ops.conv2d, style)(image, kernel, torch.tensor([10.0]))
    # Not flipped: top left minus bottom right, always 4 less, plus the bias.
    assert y.tolist() == [[[[6.0, 6.0], [6.0, 6.0]]]]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
def test_conv2d_bodies_equal_torch(
    kernel: tuple[int, int], stride: int, padding: int, dilation: int, groups: int
) -> None:
    x, bias = random(2, 4, 6, 7), random(4, seed=2)
    weight = random(4, 4 // groups, *kernel, seed=1)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_bodies_equal(ops.conv2d, F.conv2d, [x, weight, bias], **options)
    assert_bodies_equal(ops.conv2d, F.conv2d, [x, weight], **options)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding", "groups", "dilation"),
    [
        ((3, 3), 1, 1, 0, 1, 1),
        ((4, 4), 2, 1, 0, 1, 1),
        ((2, 3), (2, 1), (1, 0), (1, 0), 1, 1),
        ((3, 2), 2, 0, 1, 2, (1, 2)),
        ((3, 3), (1, 2), 2, (1, 1), 4, 2),
    ],
)
def test_conv_transpose2d_bodies_equal_torch(
    kernel: tuple[int, int],
    stride: int,
    padding: int,
    output_padding: int,
    groups: int,
    dilation: int,
) -> None:
    x, bias = random(2, 4, 4, 3), random(2 * groups, seed=2)
    weight = random(4, 2, *kernel, seed=1)
    options = (stride, padding, output_padding, groups, dilation)
    assert_bodies_equal(ops.conv_transpose2d, F.conv_transpose2d, [x, weight, bias], *options)
    assert_bodies_equal(ops.conv_transpose2d, F.conv_transpose2d, [x, weight], None, *options)


def test_float32_smoke() -> None:
    x, weight = random(1, 3, 8, 8, dtype=torch.float32), random(4, 3, 3, 3, dtype=torch.float32)
    assert_bodies_equal(ops.conv2d, F.conv2d, [x, weight], padding=1, tolerance=1e-4)
    weight = random(3, 2, 4, 4, dtype=torch.float32)
    assert_bodies_equal(
        ops.conv_transpose2d, F.conv_transpose2d, [x, weight], stride=2, padding=1, tolerance=1e-4
    )


@pytest.mark.parametrize("style", ["naive", "scratch"])
def test_gradcheck(style: str) -> None:
    x = random(1, 2, 4, 3).requires_grad_()
    kernels = random(2, 2, 2, 2, seed=1).requires_grad_()
    convolve, stamp = getattr(ops.conv2d, style), getattr(ops.conv_transpose2d, style)
    assert torch.autograd.gradcheck(lambda a, w: convolve(a, w, None, 2, 1), (x, kernels))
    assert torch.autograd.gradcheck(lambda a, w: stamp(a, w, None, 2, 1), (x, kernels))


@pytest.mark.parametrize("style", BODIES)
def test_transposed_is_the_transpose_and_not_an_inverse(style: str) -> None:
    convolve, stamp = getattr(ops.conv2d, style), getattr(ops.conv_transpose2d, style)
    x, y, weight = random(1, 2, 5, 5), random(1, 3, 3, 3, seed=1), random(3, 2, 3, 3, seed=2)
    # ⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩ is what "transpose" means.
    left = (convolve(x, weight, None, 2, 1) * y).sum()
    right = (x * stamp(y, weight, None, 2, 1)).sum()
    assert_same(left, right)
    restored = stamp(convolve(x, weight, None, 2, 1), weight, None, 2, 1)
    assert restored.shape == x.shape
    assert not torch.allclose(restored, x, atol=0.1)


@pytest.mark.parametrize("style", BODIES)
def test_conv_transpose2d_by_hand(style: str) -> None:
    x = torch.tensor([[[[1.0, 2.0]]]])
    kernel = torch.tensor([[[[1.0, 10.0, 100.0]]]])
    y = getattr(ops.conv_transpose2d, style)(x, kernel, None, (1, 2))
    # Two stamps two apart overlap in one pixel, where they add up.
    assert y.tolist() == [[[[1.0, 10.0, 100.0 + 2.0, 20.0, 200.0]]]]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
def test_im2col_and_col2im_equal_torch(
    kernel: tuple[int, int], stride: int, padding: int, dilation: int, groups: int
) -> None:
    x = random(2, 3, 6, 7)
    windows = {"stride": stride, "padding": padding, "dilation": dilation}
    columns = ops.im2col(x, kernel, **windows)
    assert_same(columns, F.unfold(x, kernel, **windows))
    assert_same(
        ops.col2im(columns, (6, 7), kernel, **windows), F.fold(columns, (6, 7), kernel, **windows)
    )


@pytest.mark.parametrize("style", ["naive", "scratch"])
@pytest.mark.parametrize(
    ("x", "weight", "groups"),
    [
        (torch.zeros(1, 3, 4, 4), torch.zeros(2, 4, 3, 3), 1),
        (torch.zeros(1, 4, 4, 4), torch.zeros(3, 2, 3, 3), 2),
        (torch.zeros(3, 4, 4), torch.zeros(2, 3, 3, 3), 1),
        (torch.zeros(1, 3, 2, 4), torch.zeros(2, 3, 3, 3), 1),
    ],
    ids=["channels", "groups", "no batch", "window too large"],
)
def test_conv2d_refuses_shapes_that_do_not_fit(
    style: str, x: Tensor, weight: Tensor, groups: int
) -> None:
    with pytest.raises(SeglibError, match=r"conv2d|window"):
        getattr(ops.conv2d, style)(x, weight, groups=groups)


@pytest.mark.parametrize("style", ["naive", "scratch"])
@pytest.mark.parametrize(
    ("channels", "options"),
    [(3, {}), (2, {"padding": 9}), (2, {"output_padding": 1})],
    ids=["channels", "padding", "output padding"],
)
def test_conv_transpose2d_refuses_shapes_that_do_not_fit(
    style: str, channels: int, options: dict[str, int]
) -> None:
    body = getattr(ops.conv_transpose2d, style)
    with pytest.raises(SeglibError, match="conv_transpose2d"):
        body(torch.zeros(1, channels, 4, 4), torch.zeros(2, 2, 3, 3), **options)
