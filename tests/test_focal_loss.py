"""sigmoid_focal_loss: by hand, against torchvision and the official vectors, extreme logits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss as torchvision_focal_loss

from seglib import SeglibError, ops
from seglib.ops.focal_loss import focal_prior_bias
from tests.helpers import golden
from tests.parity import assert_bodies_equal, assert_same, random

BODIES = ["naive", "scratch", "native"]


def some_targets(shape: tuple[int, ...]) -> Tensor:
    return (random(*shape, seed=4) > 0.5).double()


@pytest.mark.parametrize("style", BODIES)
def test_by_hand(style: str) -> None:
    # Probabilities 1/2 and 3/4 of the positive class; the first is positive, the second is not.
    logits = torch.tensor([0.0, math.log(3.0)])
    each = getattr(ops.sigmoid_focal_loss, style)(logits, torch.tensor([1, 0]), reduction="none")
    expected = [0.25 * 0.5**2 * math.log(2), 0.75 * 0.75**2 * math.log(4)]
    assert each.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("style", BODIES)
def test_gamma_zero_is_the_weighted_cross_entropy(style: str) -> None:
    logits, targets = random(3, 4), some_targets((3, 4))
    found = getattr(ops.sigmoid_focal_loss, style)(logits, targets, 0.5, 0.0)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    assert_same(found, cross_entropy * 12 / 2)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.6, 1.5)])
def test_bodies_equal_torchvision(
    reduction: str, shape: tuple[int, ...], alpha: float, gamma: float
) -> None:
    targets = some_targets(shape)

    def reference(logits: Tensor, *_: object) -> Tensor:
        return torchvision_focal_loss(logits, targets, alpha, gamma, reduction)

    assert_bodies_equal(
        ops.sigmoid_focal_loss, reference, [random(*shape)], targets, alpha, gamma, reduction
    )


@pytest.mark.parametrize("style", BODIES)
def test_equals_the_official_vectors(style: str) -> None:
    case = golden("solo_losses")["focal"]
    logits = torch.from_numpy(case["in"]["logits"])
    labels = torch.from_numpy(case["in"]["labels"])
    targets = labels[:, None] == torch.arange(1, logits.shape[1] + 1)
    options = {"alpha": float(case["par"]["alpha"]), "gamma": float(case["par"]["gamma"])}
    body = getattr(ops.sigmoid_focal_loss, style)
    for name, reduction in (("elementwise", "none"), ("total", "sum")):
        expected = torch.from_numpy(case["out"][name])
        found = body(logits, targets, **options, reduction=reduction)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("style", BODIES)
def test_extreme_logits_stay_finite(style: str) -> None:
    logits = torch.tensor([1e4, -1e4, 1e4, -1e4], dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([1, 0, 0, 1])
    each = getattr(ops.sigmoid_focal_loss, style)(logits, targets, reduction="none")
    each.sum().backward()
    assert each.tolist() == pytest.approx([0, 0, 0.75e4, 0.25e4])
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([0, 0, 0.75, -0.25])


@pytest.mark.parametrize("style", BODIES)
def test_without_logits_the_loss_is_zero(style: str) -> None:
    logits = torch.zeros(0, 3, requires_grad=True)
    for reduction in ("sum", "mean"):
        loss = getattr(ops.sigmoid_focal_loss, style)(logits, logits > 0, reduction=reduction)
        assert loss.item() == 0.0
        loss.backward()


def test_gradcheck() -> None:
    logits, targets = random(3, 4).requires_grad_(), some_targets((3, 4))
    for style in BODIES:
        body = getattr(ops.sigmoid_focal_loss, style)
        assert torch.autograd.gradcheck(lambda x, f=body: f(x, targets), (logits,))


def test_the_prior_is_the_probability_at_the_start() -> None:
    assert torch.tensor(focal_prior_bias(0.01)).sigmoid().item() == pytest.approx(0.01)


@pytest.mark.parametrize("style", BODIES)
def test_refuses_shapes_that_do_not_fit(style: str) -> None:
    body = getattr(ops.sigmoid_focal_loss, style)
    with pytest.raises(SeglibError, match=r"\[2\] .* \[2, 3\]"):
        body(torch.zeros(2, 3), torch.zeros(2))
    with pytest.raises(SeglibError, match="reduction"):
        body(torch.zeros(2), torch.zeros(2), reduction="average")
