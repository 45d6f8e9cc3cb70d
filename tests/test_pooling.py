"""max_pool2d: by hand, against torch.nn.functional, ties, windows over the border."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from seglib import SeglibError, ops
from tests.parity import assert_bodies_equal, random

BODIES = ["naive", "scratch", "native"]


@pytest.mark.parametrize("style", BODIES)
def test_by_hand(style: str) -> None:
    x = torch.tensor([[[[1.0, 5.0, 2.0], [3.0, 4.0, -1.0], [0.0, 0.0, 9.0]]]])
    pool = getattr(ops.max_pool2d, style)
    assert pool(x, 2).tolist() == [[[[5.0]]]]
    assert pool(x, 2, ceil_mode=True).tolist() == [[[[5.0, 2.0], [0.0, 9.0]]]]
    assert pool(-x, (1, 3)).tolist() == [[[[-1.0], [1.0], [0.0]]]]


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
        {"kernel_size": 2, "ceil_mode": True},
        {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True},
    ],
    ids=str,
)
def test_bodies_equal_torch(options: dict[str, int]) -> None:
    assert_bodies_equal(ops.max_pool2d, F.max_pool2d, [random(2, 2, 7, 5)], **options)


def test_among_equals_the_first_gets_the_gradient() -> None:
    flat = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    assert_bodies_equal(ops.max_pool2d, F.max_pool2d, [flat], 3, 2, 1)


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 12),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    ceil_mode=st.booleans(),
)
def test_window_counts_equal_torch(
    size: int, kernel: int, stride: int, padding: int, ceil_mode: bool
) -> None:
    if padding > kernel // 2 or size + 2 * padding < kernel:
        return
    x = random(1, 1, size, 6)
    expected = F.max_pool2d(x, (kernel, 1), (stride, 1), (padding, 0), ceil_mode=ceil_mode)
    for style in BODIES:
        body = getattr(ops.max_pool2d, style)
        assert torch.equal(body(x, (kernel, 1), (stride, 1), (padding, 0), ceil_mode), expected)


@pytest.mark.parametrize("style", ["naive", "scratch"])
def test_gradcheck_off_ties(style: str) -> None:
    x = torch.randperm(20).double().reshape(1, 1, 4, 5).requires_grad_()
    pool = getattr(ops.max_pool2d, style)
    assert torch.autograd.gradcheck(lambda a: pool(a, 3, 2, 1), (x,))


def test_float32_smoke() -> None:
    x = random(1, 2, 8, 8, dtype=torch.float32)
    assert_bodies_equal(ops.max_pool2d, F.max_pool2d, [x], 3, 2, 1, tolerance=1e-4)


@pytest.mark.parametrize("style", ["naive", "scratch"])
@pytest.mark.parametrize("options", [{"kernel_size": 9}, {"kernel_size": 2, "padding": 2}], ids=str)
def test_refuses_windows_that_do_not_fit(style: str, options: dict[str, int]) -> None:
    with pytest.raises(SeglibError, match="max_pool2d"):
        getattr(ops.max_pool2d, style)(torch.zeros(1, 1, 4, 4), **options)
