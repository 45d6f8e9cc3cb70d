"""The losses of the R-CNN family equal recorded ones and ones worked by hand."""

import pytest
import torch
from torch import Tensor

from seglib.models.mask_rcnn.losses import (
    box_losses,
    mask_loss,
    rpn_losses,
    smooth_l1,
    softmax_mask_loss,
)
from seglib.ops.boxes import encode_deltas
from seglib.ops.mask_paste import crop_resize_masks
from tests.helpers import golden

CASES = golden("rcnn_losses")


def tensors(case: str) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    roles = (CASES[case].get(role, {}) for role in ("par", "in", "out"))
    par, given, out = ({k: torch.as_tensor(v) for k, v in role.items()} for role in roles)
    return par, given, out


def background_first(logits: Tensor) -> Tensor:
    """The recorded class logits have their background last."""
    return logits.roll(1, dims=1)


@pytest.mark.parametrize("case", ["box_agnostic", "box_specific"])
def test_box_losses_equal_the_recorded_ones(case: str) -> None:
    par, given, out = tensors(case)
    classes = int(par["num_classes"])
    labels = torch.where(given["gt_classes"] == classes, 0, given["gt_classes"] + 1)
    deltas = given["deltas"].unflatten(1, (-1, 4))
    if case == "box_specific":
        deltas = torch.cat([torch.zeros_like(deltas[:, :1]), deltas], dim=1)
    weights = tuple(par["box_weights"].tolist())
    targets = encode_deltas(given["proposals"], given["gt_boxes"], weights)
    actual = box_losses(
        background_first(given["logits"]),
        deltas,
        labels,
        targets,
        count=len(labels),
        beta=float(par["smooth_l1_beta"]),
    )
    for value, name in zip(actual, ("loss_cls", "loss_box"), strict=True):
        assert out[name] > 0
        torch.testing.assert_close(value, out[name].squeeze(), rtol=1e-5, atol=0)


def test_rpn_losses_equal_the_recorded_ones() -> None:
    par, given, out = tensors("rpn")
    anchors = given["anchors"].expand(2, -1, -1)
    targets = encode_deltas(anchors, given["matched_gt_boxes"])
    actual = rpn_losses(
        given["logits"].flatten(),
        given["deltas"].flatten(0, 1),
        given["labels"].flatten(),
        targets.flatten(0, 1),
        count=float(par["batch_size_per_image"]) * 2,
        beta=float(par["smooth_l1_beta"]),
    )
    for value, name in zip(actual, ("loss_cls", "loss_box"), strict=True):
        assert out[name] > 0
        torch.testing.assert_close(value, out[name].squeeze(), rtol=1e-5, atol=0)


def test_mask_loss_equals_the_recorded_one() -> None:
    _, given, out = tensors("mask")
    size = given["mask_logits"].shape[-1]
    targets = crop_resize_masks(given["gt_masks"].bool(), given["proposals"], size)
    assert torch.equal(targets.long(), out["mask_targets"])
    logits = given["mask_logits"]
    with_background = torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)
    actual = mask_loss(with_background, given["gt_classes"] + 1, targets, count=len(logits))
    torch.testing.assert_close(actual, out["loss_mask"].squeeze(), rtol=1e-5, atol=0)


def test_smooth_l1_by_hand() -> None:
    prediction, target = torch.tensor([0.0, 0.0, 0.0]), torch.tensor([0.5, 1.0, -3.0])
    assert smooth_l1(prediction, target, beta=0).item() == 4.5
    # beta 1: 0.125 + 0.5 + 2.5
    assert smooth_l1(prediction, target, beta=1).item() == 3.125


def test_anchors_that_are_not_sampled_have_no_loss() -> None:
    logits = torch.tensor([0.0, 9.0, 0.0], requires_grad=True)
    deltas = torch.zeros(3, 4, requires_grad=True)
    labels = torch.tensor([1, -1, 0])
    objectness_loss, box_loss = rpn_losses(logits, deltas, labels, torch.ones(3, 4), count=2)
    (objectness_loss + box_loss).backward()
    assert logits.grad is not None
    assert deltas.grad is not None
    assert logits.grad.tolist() == [-0.25, 0.0, 0.25]
    assert deltas.grad.abs().sum(1).tolist() == [2.0, 0.0, 0.0]


def test_only_the_true_class_mask_learns() -> None:
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    mask_loss(logits, torch.tensor([2]), torch.ones(1, 2, 2), count=1).backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum((0, 2, 3)).tolist() == [0.0, 0.0, 0.5]


def test_softmax_masks_compete() -> None:
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    softmax_mask_loss(logits, torch.tensor([2]), torch.ones(1, 2, 2), count=1).backward()
    assert logits.grad is not None
    assert bool((logits.grad[0, :2] > 0).all())
    assert bool((logits.grad[0, 2] < 0).all())


def test_no_masks_cost_nothing() -> None:
    logits = torch.zeros(0, 3, 2, 2, requires_grad=True)
    empty = torch.zeros(0, dtype=torch.int64)
    assert mask_loss(logits, empty, torch.zeros(0, 2, 2), count=1).item() == 0
