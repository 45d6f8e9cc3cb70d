"""The score of a perfect network of a given output form."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from seglib.errors import SeglibError
from seglib.metrics import mask_ceiling, semantic_ceiling
from seglib.metrics.ceilings import model_baseline, model_ceiling
from seglib.models import build_model
from seglib.ops.masks import mask_iou, masks_to_boxes
from seglib.ops.output_forms import labels_at_stride, masks_at_stride, masks_in_rois
from seglib.structures import Categories
from tests.toy_dataset import TOY_CATEGORIES, ToyDataset


def disc(size: int, radius: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = (size - 1) / 2
    return (x - centre) ** 2 + (y - centre) ** 2 < radius**2


def test_stride_one_loses_nothing() -> None:
    dataset = ToyDataset(4)
    assert semantic_ceiling(dataset, stride=1) == 1.0
    assert mask_ceiling(dataset, stride=1) == 1.0
    assert mask_ceiling(dataset, roi_size=64) == pytest.approx(1.0)


def test_coarser_grids_lose_more() -> None:
    dataset = ToyDataset(4)
    semantic = [semantic_ceiling(dataset, stride=s) for s in (1, 4, 8, 16, 32)]
    assert semantic == sorted(semantic, reverse=True)
    assert semantic[-1] < 0.8 * semantic[0]
    masks = [mask_ceiling(dataset, stride=s) for s in (1, 4, 8, 16)]
    assert masks == sorted(masks, reverse=True)
    assert masks[-1] < masks[0]
    assert mask_ceiling(dataset, roi_size=28) > mask_ceiling(dataset, stride=8)


def test_an_aligned_half_plane_survives_its_grid() -> None:
    labels = torch.zeros(32, 40, dtype=torch.int64)
    labels[:, 16:] = 2
    assert torch.equal(labels_at_stride(labels, 8), labels)
    assert torch.equal(masks_at_stride((labels == 2)[None], 8), (labels == 2)[None])


def test_by_hand_a_cell_less_than_half_full_disappears() -> None:
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, 0, :3] = True  # 3 of 16 pixels in the first cell
    assert not masks_at_stride(masks, 4).any()
    labels = masks[0].long() * 3
    assert not labels_at_stride(labels, 4).any()


def test_ignored_pixels_have_no_effect() -> None:
    labels = torch.full((8, 8), 255)
    labels[0, 0] = 5
    assert labels_at_stride(labels, 8).eq(5).all()
    assert labels_at_stride(torch.full((8, 8), 255), 4).shape == (8, 8)


@pytest.mark.parametrize("size", [(33, 47), (5, 3), (64, 64)])
def test_any_size_keeps_its_size(size: tuple[int, int]) -> None:
    masks = torch.rand(3, *size) > 0.5
    assert masks_at_stride(masks, 8).shape == masks.shape
    assert masks_in_rois(masks, 28).shape == masks.shape
    assert labels_at_stride(masks[0].long(), 8).shape == size
    assert masks_at_stride(masks[:0], 8).shape == (0, *size)
    assert masks_in_rois(masks[:0]).shape == (0, *size)


def test_roi_masks_keep_small_discs_that_a_grid_loses() -> None:
    small = disc(64, 4.5)[None]
    in_roi = mask_iou(masks_in_rois(small, 28), small).item()
    on_grid = mask_iou(masks_at_stride(small, 8), small).item()
    assert in_roi > 0.95 > on_grid
    x0, y0, x1, y1 = masks_to_boxes(small)[0].int().tolist()
    outside = masks_in_rois(small, 28)[0].clone()
    outside[y0:y1, x0:x1] = False
    assert not outside.any()


def test_any_other_form_can_be_put_in() -> None:
    dataset = ToyDataset(4)
    assert mask_ceiling(dataset, rebuild=lambda target: target.masks) == 1.0
    assert mask_ceiling(dataset, rebuild=lambda target: torch.zeros_like(target.masks)) == 0.0

    def boxes_only(target):
        masks = torch.zeros_like(target.masks)
        for mask, (x0, y0, x1, y1) in zip(masks, target.boxes.int().tolist(), strict=True):
            mask[y0:y1, x0:x1] = True
        return masks

    assert 0.0 < mask_ceiling(dataset, rebuild=boxes_only) < 1.0
    at_50 = mask_ceiling(dataset, rebuild=boxes_only, figure="AP50")
    assert at_50 > mask_ceiling(dataset, rebuild=boxes_only)


def test_limit_takes_the_first_images() -> None:
    four, two = ToyDataset(4), ToyDataset(2)
    assert semantic_ceiling(four, stride=16, limit=2) == semantic_ceiling(two, stride=16)
    assert mask_ceiling(four, stride=8, limit=2) == mask_ceiling(two, stride=8)


def test_refusals() -> None:
    dataset = ToyDataset(2)
    with pytest.raises(SeglibError, match="exactly one"):
        mask_ceiling(dataset)
    with pytest.raises(SeglibError, match="exactly one"):
        mask_ceiling(dataset, stride=4, roi_size=28)
    with pytest.raises(SeglibError, match="choose one of AP"):
        mask_ceiling(dataset, stride=4, figure="ap")
    with pytest.raises(SeglibError, match="stride is at least 1"):
        semantic_ceiling(dataset, stride=0)
    with pytest.raises(SeglibError, match="no images"):
        semantic_ceiling(dataset, stride=4, limit=0)


@pytest.mark.parametrize("variant", ["8s", "16s", "32s"])
def test_a_perfect_fcn_is_the_truth_through_its_stride(variant: str) -> None:
    dataset = ToyDataset(2)
    model = build_model("fcn", dataset.categories, variant=variant)
    figures = model_ceiling(model, dataset).figures
    assert figures["mean_iou"] == semantic_ceiling(dataset, model.output_form.numbers["stride"])
    image, target = dataset[0]
    semantic = model.perfect(image, target).semantic
    assert semantic is not None
    assert torch.equal(semantic, labels_at_stride(target.semantic, int(variant[:-1])))


def test_a_perfect_fcn_sees_images_as_small_as_the_network_does() -> None:
    dataset = ToyDataset(2)
    small, whole = (build_model("fcn", TOY_CATEGORIES, image_size=s) for s in (36, None))
    at_half, at_full = (
        model_ceiling(model, dataset).figures["mean_iou"] for model in (small, whole)
    )
    assert 0 < at_half < at_full


def test_a_ceiling_counts_the_classes_that_model_and_data_set_share() -> None:
    dataset = ToyDataset(2)
    sea = replace(TOY_CATEGORIES.by_name("sea"), label=1)
    model = build_model("fcn", Categories([sea]))
    metrics = model_ceiling(model, dataset)
    assert set(metrics.per_class["iou"]) == {"background", "sea"}
    assert metrics.figures["mean_iou"] > 0.7
    assert model_baseline(model, dataset) is None
