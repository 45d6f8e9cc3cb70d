"""cross_entropy: by hand, against torch.nn.functional, ignored labels, extreme logits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seglib import SeglibError, ops
from tests.parity import assert_bodies_equal, assert_same, random

BODIES = ["naive", "scratch", "native"]


def labels_like(logits: Tensor, ignored: int = 255) -> Tensor:
    """Random classes; every fifth position is ignored."""
    generator = torch.Generator().manual_seed(3)
    shape = logits.shape[:1] + logits.shape[2:]
    labels = torch.randint(logits.shape[1], shape, generator=generator)
    labels.view(-1)[::5] = ignored
    return labels


@pytest.mark.parametrize("style", BODIES)
def test_by_hand(style: str) -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)], [5.0, -5.0]])
    loss = getattr(ops.cross_entropy, style)(logits, torch.tensor([0, 1, 255]))
    # The true classes have probability 1/2 and 3/4; the third row does not count.
    assert loss.item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_bodies_equal_torch(reduction: str, shape: tuple[int, ...], weighted: bool) -> None:
    logits = random(*shape)
    labels = labels_like(logits)
    weight = random(shape[1], seed=1).abs() if weighted else None

    def reference(x: Tensor, labels: Tensor, *_: object) -> Tensor:
        return F.cross_entropy(x, labels, weight, ignore_index=255, reduction=reduction)

    assert_bodies_equal(ops.cross_entropy, reference, [logits], labels, 255, reduction, weight)


@pytest.mark.parametrize("style", BODIES)
def test_another_ignored_label(style: str) -> None:
    logits = random(2, 3, 4, 5)
    labels = labels_like(logits, ignored=-1)
    expected = F.cross_entropy(logits, labels, ignore_index=-1)
    assert_same(getattr(ops.cross_entropy, style)(logits, labels, -1), expected)


@pytest.mark.parametrize("style", BODIES)
def test_without_labels_the_loss_is_zero(style: str) -> None:
    logits = random(2, 3, 4).requires_grad_()
    loss = getattr(ops.cross_entropy, style)(logits, torch.full((2, 4), 255))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("style", BODIES)
def test_extreme_logits_stay_finite(style: str) -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4]], dtype=torch.float64)
    loss = getattr(ops.cross_entropy, style)(logits, torch.tensor([1]))
    assert loss.item() == pytest.approx(1e4)


@pytest.mark.parametrize("style", BODIES)
def test_logits_of_ignored_positions_do_not_matter(style: str) -> None:
    logits = torch.tensor([[0.0, 0.0], [math.inf, 1.0]], requires_grad=True)
    loss = getattr(ops.cross_entropy, style)(logits, torch.tensor([0, 255]))
    assert loss.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("style", ["naive", "scratch"])
def test_gradcheck(style: str) -> None:
    logits = random(2, 3, 4).requires_grad_()
    labels = labels_like(logits)
    body = getattr(ops.cross_entropy, style)
    assert torch.autograd.gradcheck(lambda x: body(x, labels), (logits,))


def test_float32_smoke() -> None:
    logits = random(2, 3, 4, 5, dtype=torch.float32)
    labels = labels_like(logits)
    reference = F.cross_entropy
    assert_bodies_equal(
        ops.cross_entropy, reference, [logits], labels, ignore_index=255, tolerance=1e-4
    )


@pytest.mark.parametrize("style", BODIES)
def test_refuses_shapes_that_do_not_fit(style: str) -> None:
    body = getattr(ops.cross_entropy, style)
    with pytest.raises(SeglibError, match=r"\[2, 3, 4\]"):
        body(torch.zeros(2, 3, 4), torch.zeros(2, 5, dtype=torch.int64))
    with pytest.raises(SeglibError, match="reduction"):
        body(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), reduction="average")


@pytest.mark.parametrize("style", BODIES)
def test_smooth_dice_loss_by_hand(style: str) -> None:
    dice = getattr(ops.smooth_dice_loss, style)
    # Logits of 0 are probabilities of 1/2: 1 - (2 * 1 + 1) / (2 + 2 + 1) for two true pixels of 4.
    logits, half = torch.zeros(2, 2, 2).double(), torch.tensor([[1, 1], [0, 0]])
    found = dice(logits, torch.stack([half, 0 * half]))
    torch.testing.assert_close(found, torch.tensor([2 / 5, 1 - 1 / 3]).double())
    assert dice(torch.full((1, 4), -99.0), torch.zeros(1, 4)).item() == 0
    assert dice(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0,)
    with pytest.raises(SeglibError, match="must have the shape of the logits"):
        dice(torch.zeros(1, 3), torch.zeros(2, 3))


def test_bodies_of_smooth_dice_loss_are_equal() -> None:
    truth = random(3, 4, 5, seed=1) > 0
    reference = ops.smooth_dice_loss.native
    assert_bodies_equal(ops.smooth_dice_loss, reference, [random(3, 4, 5)], truth)
