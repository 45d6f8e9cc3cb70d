"""Mask area, bounding boxes of masks, and the three bodies of mask IoU."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

import seglib
from seglib.errors import SeglibError
from seglib.ops.boxes import xyxy_to_xywh
from seglib.ops.masks import mask_area, mask_iou, masks_to_boxes
from tests.helpers import golden


def random_masks(count: int, height: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    density = torch.rand(count, 1, 1, generator=generator)
    return torch.rand(count, height, width, generator=generator) < density


def coco_iou(a: torch.Tensor, b: torch.Tensor, iscrowd: list[int]) -> np.ndarray:
    def rles(masks: torch.Tensor) -> list:
        return [coco_mask.encode(np.asfortranarray(m.numpy().astype(np.uint8))) for m in masks]

    return np.asarray(coco_mask.iou(rles(a), rles(b), iscrowd))


def test_iou_by_hand():
    a = torch.zeros(1, 2, 3, dtype=torch.bool)
    a[0, 0, :] = True  # three pixels
    b = torch.zeros(2, 2, 3, dtype=torch.bool)
    b[0, :, 0] = True  # two pixels, one shared: 1 / 4
    b[1, 0, :2] = True  # two pixels, both shared: 2 / 3
    assert mask_iou(a, b).tolist() == [[1 / 4, 2 / 3]]
    # Against crowds, only a's three pixels count in the denominator.
    assert mask_iou(a, b, torch.tensor([True, True])).tolist() == [[1 / 3, 2 / 3]]


def test_iou_of_empty_masks_is_zero():
    empty = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert mask_iou(empty, empty).item() == 0
    assert mask_iou(empty, empty, torch.tensor([True])).item() == 0
    assert mask_iou(empty[:0], empty).shape == (0, 1)


def test_iou_meets_thresholds_exactly():
    a = torch.ones(1, 4, 5, dtype=torch.bool)
    b = a.clone()
    b.view(-1)[13:] = False  # 13 of 20 pixels
    assert mask_iou(a, b).item() >= 0.65


@pytest.mark.parametrize("style", ["naive", "scratch", "native"])
def test_bodies_equal_the_reference(style):
    a, b = random_masks(5, 7, 9, 0), random_masks(4, 7, 9, 1)
    crowds = [0, 1, 0, 1]
    with seglib.use(style):
        np.testing.assert_allclose(mask_iou(a, b).numpy(), coco_iou(a, b, [0] * 4), rtol=1e-12)
        iscrowd = torch.tensor(crowds, dtype=torch.bool)
        np.testing.assert_allclose(
            mask_iou(a, b, iscrowd).numpy(), coco_iou(a, b, crowds), rtol=1e-12
        )


@given(seed=st.integers(0, 10**6), height=st.integers(1, 12), width=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_iou_is_symmetric_and_one_with_itself(seed, height, width):
    a, b = random_masks(3, height, width, seed), random_masks(2, height, width, seed + 1)
    iou = mask_iou(a, b)
    assert torch.equal(iou, mask_iou(b, a).T)
    assert ((iou >= 0) & (iou <= 1)).all()
    assert torch.equal(mask_iou(a, a).diagonal(), a.flatten(1).any(1).double())


def test_mismatched_masks_are_refused():
    with pytest.raises(SeglibError, match="same height and width"):
        mask_iou(torch.zeros(1, 4, 4, dtype=torch.bool), torch.zeros(1, 4, 5, dtype=torch.bool))


def test_area_counts_pixels():
    masks = random_masks(6, 5, 8, 3)
    assert mask_area(masks).tolist() == [int(m.sum()) for m in masks]
    assert mask_area(masks).dtype == torch.int64


def test_boxes_are_half_open():
    masks = torch.zeros(3, 5, 8, dtype=torch.bool)
    masks[0, 2, 6] = True
    masks[1, 1:4, 0:8] = True
    assert masks_to_boxes(masks).tolist() == [[6, 2, 7, 3], [0, 1, 8, 4], [0, 0, 0, 0]]
    assert masks_to_boxes(masks[:0]).shape == (0, 4)


def test_boxes_equal_golden():
    case = golden("masks_to_boxes")["basic"]
    masks, out = torch.from_numpy(case["in"]["masks"]).bool(), case["out"]
    boxes = masks_to_boxes(masks)
    assert boxes.tolist() == out["exclusive"].tolist()
    assert xyxy_to_xywh(boxes).tolist() == out["coco_xywh"].tolist()
    # DETR and torchvision give the last pixel itself; not recorded for an empty mask.
    filled = masks.flatten(1).any(1)
    last_pixel = boxes - torch.tensor([0.0, 0, 1, 1])
    assert last_pixel[filled].tolist() == out["inclusive"][filled.numpy()].tolist()
