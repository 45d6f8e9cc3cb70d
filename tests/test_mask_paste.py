"""Cropping masks to boxes and pasting them back: by hand, golden, torchvision, borders."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor
from torchvision.models.detection import roi_heads

from seglib import ops, use
from seglib.data.datasets import load_dataset
from tests.helpers import golden
from tests.parity import assert_same


def discs(count: int, height: int, width: int) -> Tensor:
    """Bool discs of growing radius along the diagonal."""
    y, x = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    middle = torch.linspace(0.2, 0.8, count)[:, None, None]
    distance = ((y - middle * height) ** 2 + (x - middle * width) ** 2).sqrt()
    return distance < torch.linspace(4, 14, count)[:, None, None]


BOXES = torch.tensor(
    [
        [5.2, 7.7, 40.1, 29.4],  # inside
        [-12.5, -3.0, 21.3, 18.8],  # over the corner
        [55.5, 40.2, 90.7, 75.1],  # over the other
        [100.0, 100.0, 120.0, 130.0],  # outside
        [30.4, 20.1, 30.9, 20.3],  # within a pixel
        [0.0, 0.0, 70.0, 50.0],  # the whole image
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize("style", ["naive", "scratch", "native"])
def test_crop_golden(style: str) -> None:
    arrays = golden("mask_crop_resize")["basic"]
    masks, boxes = (torch.from_numpy(arrays["in"][name]) for name in ("masks", "boxes"))
    if style == "naive":  # loops: one mask is enough
        masks, boxes = masks[:1], boxes[:1]
    size, threshold = int(arrays["par"]["size"]), float(arrays["par"]["threshold"])
    truth = torch.from_numpy(arrays["out"]["fraction"])[: len(masks)]
    with use(style):
        fraction = ops.crop_resize_masks(masks.bool(), boxes, size, threshold=None)
        targets = ops.crop_resize_masks(masks.bool(), boxes, size, threshold=threshold)
    torch.testing.assert_close(fraction, truth, rtol=0, atol=1e-5)
    clear = (truth - threshold).abs() > 1e-5
    expected = torch.from_numpy(arrays["out"]["targets"])[: len(masks)].bool()
    assert torch.equal(targets[clear], expected[clear])
    assert clear.float().mean() > 0.99
    assert 30 < int(targets.sum()) < targets.numel() - 30


def test_crop_of_an_exact_box_by_hand() -> None:
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[0, 2:4, 1:5] = True
    box = torch.tensor([[1.0, 2.0, 5.0, 4.0]])
    assert ops.crop_resize_masks(mask, box, 2).all()
    # In a box twice as high the object fills the upper half.
    taller = torch.tensor([[1.0, 2.0, 5.0, 6.0]])
    assert ops.crop_resize_masks(mask, taller, 2)[0].tolist() == [[True, True], [False, False]]


def test_crop_equals_torchvision_with_masks_shared_by_boxes() -> None:
    masks, index = discs(3, 50, 70), torch.tensor([2, 0, 1, 1, 0, 2])
    expected = roi_heads.project_masks_on_boxes(masks.double(), BOXES, index, 14)
    fractions = ops.crop_resize_masks(masks, BOXES, 14, index, None, aligned=False)
    assert_same(fractions, expected)
    assert ((fractions > 0) & (fractions < 1)).sum() >= 40


def test_paste_golden() -> None:
    arrays = golden("mask_paste")["basic"]
    probabilities, boxes = (
        torch.from_numpy(arrays["in"][name]) for name in ("mask_probs", "boxes")
    )
    size = int(arrays["par"]["height"]), int(arrays["par"]["width"])
    pasted = ops.paste_masks(probabilities, boxes, size, float(arrays["par"]["threshold"]))
    expected = torch.from_numpy(arrays["out"]["masks"]).bool()
    clear = (grid_sampled(probabilities, boxes, size) - 0.5).abs() > 1e-5
    assert torch.equal(pasted[clear], expected[clear])
    assert clear.float().mean() > 0.999
    assert pasted.flatten(1).sum(1).gt(50).all()


def grid_sampled(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The definition, by PyTorch's bilinear sampling: [N, H, W] probabilities."""
    y, x = torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    across = (x.to(boxes) - left) / (right - left) * 2 - 1  # [N, W] in −1…1
    down = (y.to(boxes) - top) / (bottom - top) * 2 - 1
    shape = (len(boxes), *size)
    grid = torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], dim=3)
    return F.grid_sample(masks[:, None], grid, align_corners=False)[:, 0]


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
def test_paste_equals_bilinear_sampling(threshold: float) -> None:
    masks = torch.rand(6, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = grid_sampled(masks, BOXES, (50, 70))
    pasted = ops.paste_masks(masks, BOXES, (50, 70), threshold)
    clear = (expected - threshold).abs() > 1e-8
    assert torch.equal(pasted[clear], (expected >= threshold)[clear])
    assert pasted.flatten(1).any(1).sum() >= 4


def test_paste_rounded_equals_torchvision() -> None:
    masks = torch.rand(6, 14, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = roi_heads.paste_masks_in_image(masks[:, None], BOXES, (50, 70))[:, 0]
    pasted = ops.paste_masks(masks, BOXES, (50, 70), rounded=True)
    clear = (expected - 0.5).abs() > 1e-8
    assert torch.equal(pasted[clear], (expected >= 0.5)[clear])
    assert pasted.flatten(1).any(1).sum() >= 4


def test_a_mask_that_is_cropped_and_pasted_back_is_nearly_itself() -> None:
    masks = discs(4, 60, 80)
    boxes = ops.masks_to_boxes(masks)
    back = ops.paste_masks(ops.crop_resize_masks(masks, boxes, 28).float(), boxes, (60, 80))
    assert ops.mask_iou(back, masks).diagonal().min() > 0.95
    assert torchvision.ops.box_iou(ops.masks_to_boxes(back), boxes).diagonal().min() > 0.8


def test_no_boxes_and_boxes_without_area() -> None:
    assert ops.paste_masks(torch.zeros(0, 5, 5), torch.zeros(0, 4), (8, 9)).shape == (0, 8, 9)
    flat = torch.tensor([[3.0, 3.0, 3.0, 6.0], [5.0, 5.0, 2.0, 2.0]])
    assert not ops.paste_masks(torch.ones(2, 5, 5), flat, (8, 9)).any()
    none = torch.zeros(0, 4)
    assert ops.crop_resize_masks(discs(2, 8, 9)[:0], none, 5).shape == (0, 5, 5)


def test_half_covered_cells_are_inside_whatever_the_precision():
    """Otherwise a GPU and a CPU would train on different targets."""
    data = load_dataset("pocket", split="val", limit=20)
    targets = [data[index][1] for index in range(20)]
    halves = 0
    for target in targets:
        single = ops.crop_resize_masks(target.masks, target.boxes, 28)
        double = ops.crop_resize_masks(target.masks, target.boxes.double(), 28)
        fraction = ops.crop_resize_masks(target.masks, target.boxes.double(), 28, threshold=None)
        assert torch.equal(single, double)
        halves += int((fraction - 0.5).abs().lt(1e-9).sum())
    assert halves > 50
