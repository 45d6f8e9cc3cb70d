"""batch_norm: by hand, against torch.nn.functional, the running statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seglib import SeglibError, ops
from tests.parity import assert_equal_runs, assert_same, random

BODIES = ["naive", "scratch", "native"]


@pytest.mark.parametrize("style", BODIES)
def test_by_hand(style: str) -> None:
    x = torch.tensor([[1.0], [3.0]])  # mean 2, variance 1 (unbiased: 2)
    mean, var = torch.tensor([0.0]), torch.tensor([1.0])
    y = getattr(ops.batch_norm, style)(
        x, mean, var, torch.tensor([10.0]), torch.tensor([5.0]), True, 0.5, 1e-12
    )
    assert y.tolist() == [[-5.0], [15.0]]
    assert mean.tolist() == [1.0]
    assert var.tolist() == [1.5]


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (6, 2), (3, 2, 4)], ids=str)
def test_bodies_equal_torch(style: str, training: bool, shape: tuple[int, ...]) -> None:
    mean, var = random(2, seed=1), random(2, seed=2).abs() + 0.5

    def run(body: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return body(x, mean.clone(), var.clone(), weight, bias, training, 0.1, 1e-5)

    assert_equal_runs(
        partial(run, getattr(ops.batch_norm, style)),
        partial(run, F.batch_norm),
        [random(*shape), random(2, seed=3), random(2, seed=4)],
    )


@pytest.mark.parametrize("style", BODIES)
def test_running_statistics_are_updated_as_in_torch(style: str) -> None:
    x = random(3, 2, 4, 5)
    mean, var = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    true_mean, true_var = mean.clone(), var.clone()
    for _ in range(3):
        getattr(ops.batch_norm, style)(x, mean, var, training=True, momentum=0.3)
        F.batch_norm(x, true_mean, true_var, training=True, momentum=0.3)
    assert_same(mean, true_mean)
    assert_same(var, true_var)
    before = mean.clone(), var.clone()
    getattr(ops.batch_norm, style)(x, mean, var, training=False)
    assert torch.equal(mean, before[0])
    assert torch.equal(var, before[1])


@pytest.mark.parametrize("style", BODIES)
def test_without_statistics_the_batch_is_used(style: str) -> None:
    y = getattr(ops.batch_norm, style)(random(8, 2, 4, 4), None, None, training=True)
    assert_same(y.mean((0, 2, 3)), torch.zeros(2, dtype=torch.float64))
    assert_same(y.var((0, 2, 3), correction=0), torch.ones(2, dtype=torch.float64), 1e-4)


@pytest.mark.parametrize("style", ["naive", "scratch"])
def test_gradcheck(style: str) -> None:
    body = getattr(ops.batch_norm, style)
    x = random(2, 2, 3).requires_grad_()
    weight, bias = random(2, seed=1).requires_grad_(), random(2, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, w, b: body(a, None, None, w, b, True), (x, weight, bias)
    )


@pytest.mark.parametrize("style", BODIES)
def test_float32_smoke(style: str) -> None:
    x, mean, var = torch.randn(2, 3, 4, 4), torch.randn(3), torch.rand(3) + 0.5
    expected = F.batch_norm(x, mean, var)
    assert_same(getattr(ops.batch_norm, style)(x, mean, var), expected, 1e-4)


@pytest.mark.parametrize("style", ["naive", "scratch"])
def test_refuses_input_without_statistics(style: str) -> None:
    body = getattr(ops.batch_norm, style)
    with pytest.raises(SeglibError, match="more than one value"):
        body(torch.zeros(1, 3, 1, 1), None, None, training=True)
    with pytest.raises(SeglibError, match="running_mean"):
        body(torch.zeros(2, 3, 1, 1), None, None, training=False)
