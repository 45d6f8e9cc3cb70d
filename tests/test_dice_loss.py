"""squared_dice_loss: by hand, between its bodies, against the official vectors."""

from __future__ import annotations

import pytest
import torch

from seglib import SeglibError, ops
from tests.helpers import golden
from tests.parity import assert_bodies_equal, random

BODIES = ["naive", "scratch", "native"]


@pytest.mark.parametrize("style", BODIES)
def test_by_hand(style: str) -> None:
    probabilities = torch.tensor([[1, 1, 0], [0.5, 0.5, 0.5], [0, 0, 0]], dtype=torch.float64)
    targets = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])
    found = getattr(ops.squared_dice_loss, style)(probabilities, targets)
    # 2 Σ p t over Σ p² + Σ t² + 0.002: 4 / 4, 1 / (0.75 + 1), 0 / 3.
    expected = [1 - 4 / 4.002, 1 - 1 / 1.752, 1.0]
    assert found.tolist() == pytest.approx(expected)


def test_bodies_agree_forward_and_backward() -> None:
    probabilities = random(4, 3, 5).sigmoid()
    targets = random(4, 3, 5, seed=1) > 0
    reference = ops.squared_dice_loss.scratch
    assert_bodies_equal(ops.squared_dice_loss, reference, [probabilities], targets)
    assert_bodies_equal(
        ops.squared_dice_loss, reference, [probabilities.float()], targets, tolerance=1e-4
    )


@pytest.mark.parametrize("style", BODIES)
def test_equals_the_official_vectors(style: str) -> None:
    case = golden("solo_losses")["dice"]
    found = getattr(ops.squared_dice_loss, style)(
        torch.from_numpy(case["in"]["prob"]), torch.from_numpy(case["in"]["target"])
    )
    torch.testing.assert_close(found, torch.from_numpy(case["out"]["dice"]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("style", BODIES)
def test_empty_masks_and_no_masks_have_finite_gradients(style: str) -> None:
    body = getattr(ops.squared_dice_loss, style)
    for count in (2, 0):
        probabilities = torch.zeros(count, 3, 4, requires_grad=True)
        loss = body(probabilities, torch.zeros(count, 3, 4))
        assert loss.tolist() == [1.0] * count
        loss.sum().backward()
        assert probabilities.grad is not None
        assert probabilities.grad.isfinite().all()


def test_autocast_does_not_round_its_sums() -> None:
    probabilities, targets = random(3, 500, dtype=torch.float32).sigmoid(), random(3, 500) > 0
    expected = ops.squared_dice_loss(probabilities, targets)
    with torch.autocast("cpu", torch.bfloat16):
        found = ops.squared_dice_loss(probabilities, targets)
    assert torch.equal(found, expected)


def test_gradcheck() -> None:
    probabilities, targets = random(2, 6).sigmoid().requires_grad_(), random(2, 6, seed=1) > 0
    for style in BODIES:
        body = getattr(ops.squared_dice_loss, style)
        assert torch.autograd.gradcheck(lambda p, f=body: f(p, targets), (probabilities,))


@pytest.mark.parametrize("style", BODIES)
def test_refuses_shapes_that_do_not_fit(style: str) -> None:
    with pytest.raises(SeglibError, match=r"\[2, 4\] .* \[2, 3\]"):
        getattr(ops.squared_dice_loss, style)(torch.zeros(2, 3), torch.zeros(2, 4))
