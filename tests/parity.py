"""Checks that all bodies of a primitive give the same numbers, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seglib.primitives import STYLES, Primitive


def assert_same(actual: Tensor, expected: Tensor, tolerance: float = 1e-8) -> None:
    """Same shape and dtype; values differ by at most `tolerance` + `tolerance` x |expected|."""
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def assert_bodies_equal(
    function: Primitive[..., Tensor],
    reference: Callable[..., Tensor],
    inputs: list[Tensor],
    *args: Any,
    tolerance: float = 1e-8,
    **kwargs: Any,
) -> None:
    """naive, scratch and native equal `reference`, and so do the gradients of all `inputs`."""
    for style in STYLES:
        assert_equal_runs(
            getattr(function, style), reference, inputs, *args, tolerance=tolerance, **kwargs
        )


def assert_equal_runs(
    body: Callable[..., Tensor],
    reference: Callable[..., Tensor],
    inputs: list[Tensor],
    *args: Any,
    tolerance: float = 1e-8,
    **kwargs: Any,
) -> None:
    """Two functions agree in their output and in the gradients of all `inputs`."""
    actual, gradients = _run(body, inputs, args, kwargs)
    expected, expected_gradients = _run(reference, inputs, args, kwargs)
    assert_same(actual, expected, tolerance)
    for gradient, truth in zip(gradients, expected_gradients, strict=True):
        assert_same(gradient, truth, tolerance)


def _run(
    body: Callable[..., Tensor], inputs: list[Tensor], args: Any, kwargs: Any
) -> tuple[Tensor, list[Tensor]]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    output = body(*leaves, *args, **kwargs)
    # A weighted sum, so that every output has its own gradient.
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape)
    gradients = torch.autograd.grad((output * weights).sum(), leaves)
    return output.detach(), list(gradients)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normally distributed numbers; float64, for parity at 1e-8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)
