"""PolarMask: contours and rays by hand, targets, losses and detections against recorded ones."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from seglib import SeglibError, ops, use
from seglib.data.datasets import load_dataset
from seglib.models.polarmask import PolarMask, PolarMaskConfig
from seglib.models.polarmask.contours import contours_of
from seglib.models.polarmask.head import HeadOutput
from seglib.models.polarmask.losses import polar_centerness, polar_losses, side_iou
from seglib.models.polarmask.model import PolarMaskOutput
from seglib.models.polarmask.rays import contour_points, polar_masks, ray_distances
from seglib.models.polarmask.targets import make_locations, polar_targets, rays_from
from seglib.models.targets import SizedTarget
from seglib.structures import ImageBatch
from tests.helpers import golden
from tests.modelling import some_categories


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}


def disc(size: int, center: tuple[float, float], radius: float) -> Tensor:
    y, x = torch.meshgrid(*[torch.arange(float(size))] * 2, indexing="ij")
    return torch.hypot(x - center[0], y - center[1]) <= radius


def distances(mask: Tensor, rays: int = 36) -> tuple[Tensor, Tensor]:
    """The centre [2] and rays [n] of one mask."""
    _, (contour,) = contours_of(mask[None])
    count = torch.tensor([len(contour.points)])
    found = ray_distances(contour.points[None], count, contour.center[None], rays)
    return contour.center, found[0]


def iou(a: Tensor, b: Tensor) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("case", ["ellipse", "offset", "contour_only"])
def test_rays_are_the_authors(case):
    given, expected = (tensors(golden("polarmask_rays")[case][role]) for role in ("in", "out"))
    points, start = given["contour"].double(), given["center"].double()
    if "mask" in given:
        _, (contour,) = contours_of(given["mask"].bool()[None])
        assert set(map(tuple, contour.points.tolist())) == set(map(tuple, points.tolist()))
        assert contour.center.trunc().tolist() == expected["centroid"].tolist()
    found = ray_distances(points[None], torch.tensor([len(points)]), start[None], 36, "published")
    torch.testing.assert_close(found[0].float(), expected["rays"], rtol=0, atol=1e-3)


def test_contours_and_masks_are_the_authors():
    case = golden("polarmask_decode")["basic"]
    given, expected = tensors(case["in"]), tensors(case["out"])
    size = (int(case["par"]["height"]), int(case["par"]["width"]))
    ends = contour_points(given["points"].double(), given["rays"].double())  # [n, 36, 2]
    torch.testing.assert_close(ends.mT.float(), expected["contour"], rtol=0, atol=1e-4)
    limit = torch.tensor([size[1] - 1, size[0] - 1])
    clipped = torch.minimum(ends.clamp(min=0), limit)
    torch.testing.assert_close(clipped.mT.float(), expected["contour_clipped"], rtol=0, atol=1e-4)
    masks = polar_masks(given["points"].double(), given["rays"].double(), size, rule="published")
    for mask, truth in zip(masks, expected["mask"].bool(), strict=True):
        assert iou(mask, truth) >= 0.95


def test_targets_are_the_authors():
    case = golden("polarmask_targets")["basic"]
    given, expected = tensors(case["in"]), tensors(case["out"])
    config = published(case["par"])
    sizes = [(128 // int(stride), 160 // int(stride)) for stride in case["par"]["strides"]]
    locations = make_locations(sizes, case["par"]["strides"].tolist(), config.ranges)
    assert locations.points.tolist() == expected["points"].tolist()
    target = sized(given["gt_boxes"], given["gt_labels"], given["gt_masks"])
    _, contours = contours_of(target.masks)
    centers = torch.stack([contour.center for contour in contours]).trunc()
    assert centers.tolist() == expected["centroids"].tolist()
    found = polar_targets(locations, [target], config)
    assert found.labels[0].tolist() == expected["labels"].tolist()
    assert found.location.tolist() == expected["pos_index"].tolist()
    torch.testing.assert_close(found.sides, expected["pos_box_targets"], rtol=0, atol=1e-3)
    torch.testing.assert_close(found.rays, expected["pos_ray_targets"], rtol=0, atol=1e-3)


def published(par: dict[str, np.ndarray]) -> PolarMaskConfig:
    """The paper's config with a golden case's ranges and radius."""
    ranges = tuple(float(high) for _, high in par["regress_ranges"])
    return replace(PolarMaskConfig.paper(), ranges=ranges, radius=float(par["radius"]))


def sized(boxes: Tensor, labels: Tensor, masks: Tensor) -> SizedTarget:
    """A target with the authors' boxes, whose right sides are last pixels, made half-open."""
    return SizedTarget(boxes + torch.tensor([0, 0, 1, 1]), labels.long(), masks.bool())


def test_losses_of_single_locations_are_the_authors():
    case = golden("polarmask_losses")["rays"]
    given, expected = tensors(case["in"]), tensors(case["out"])
    predicted, true = given["pred_rays"], given["target_rays"]
    centerness = polar_centerness(true)
    torch.testing.assert_close(centerness, expected["centerness_target"], rtol=1e-4, atol=0)
    each = -ops.polar_iou(predicted, true).log()
    torch.testing.assert_close(each, expected["polar_iou_loss_each"], rtol=1e-4, atol=1e-6)
    total = (each * centerness).sum() / centerness.sum()
    torch.testing.assert_close(total, expected["polar_iou_loss"], rtol=1e-4, atol=0)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(
        loss(given["centerness_logits"], centerness), expected["centerness_loss"], rtol=1e-4, atol=0
    )


def test_the_losses_of_an_image_are_the_authors():
    case = golden("polarmask_losses")["full"]
    given, expected = tensors(case["in"]), tensors(case["out"])
    levels = range(len(case["par"]["strides"]))
    maps = {kind: [given[f"{kind}_l{n}"] for n in levels] for kind in ("cls", "box", "rays")}
    maps["centerness"] = [given[f"centerness_l{n}"] for n in levels]
    config = published(case["par"])
    sizes = [(m.shape[-2], m.shape[-1]) for m in maps["cls"]]
    locations = make_locations(sizes, case["par"]["strides"].tolist(), config.ranges)
    target = sized(given["gt_boxes_0"], given["gt_labels_0"], given["gt_masks_0"])
    flat = {name: torch.cat([m.flatten(2).mT for m in ms], dim=1) for name, ms in maps.items()}
    output = HeadOutput(flat["cls"], flat["centerness"].squeeze(2), flat["box"], flat["rays"])
    targets = polar_targets(locations, [target], config)
    losses = polar_losses(output, targets, published=True, box_loss=True)
    names = {
        "class_loss": "loss_cls",
        "box_loss": "loss_box_legacy",
        "mask_loss": "loss_mask",
        "centerness_loss": "loss_centerness",
    }
    assert set(losses) == set(names)
    for ours, theirs in names.items():
        torch.testing.assert_close(losses[ours], expected[theirs].float(), rtol=1e-4, atol=0)


def test_detections_are_the_authors():
    case = golden("polarmask_postprocess")["basic"]
    par, given, expected = case["par"], tensors(case["in"]), tensors(case["out"])
    config = replace(
        PolarMaskConfig.paper(),
        score_threshold=float(par["score_thr"]),
        before_nms=int(par["nms_pre"]),
        nms_iou=float(par["nms_iou"]),
        max_detections=int(par["max_per_img"]),
    )
    model = object.__new__(PolarMask)
    torch.nn.Module.__init__(model)
    model.config = config
    levels = range(len(par["strides"]))
    flat = {
        kind: torch.cat([given[f"{kind}_l{n}"].flatten(1).mT for n in levels])[None]
        for kind in ("cls", "box", "centerness", "rays")
    }
    head = HeadOutput(flat["cls"], flat["centerness"].squeeze(2), flat["box"], flat["rays"])
    sizes = [given[f"cls_l{n}"].shape[1:] for n in levels]
    locations = make_locations(sizes, par["strides"].tolist(), [64.0, 128.0, 1e8])
    seen = (int(par["height"]), int(par["width"]))
    across, down = (float(s) for s in par["scale_xy"])
    size = (seen[0] / down, seen[1] / across)
    batch = ImageBatch(torch.zeros(1, 3, *seen), [seen])
    output = PolarMaskOutput(head, locations, [h * w for h, w in sizes], batch)
    candidates = model.candidates(output, 0, size)
    rows, labels, scores = model.select(candidates)
    order = expected["scores"].argsort(descending=True)
    torch.testing.assert_close(scores, expected["scores"][order], rtol=0, atol=1e-4)
    assert (labels - 1).tolist() == expected["labels"][order].tolist()
    # The authors' boxes end at the last pixel, ours after it.
    boxes = candidates.boxes[rows] - torch.tensor([0, 0, 1, 1])
    torch.testing.assert_close(boxes, expected["boxes"][order], rtol=0, atol=1e-3)
    contours = model.contours(candidates.points[rows], candidates.rays[rows], seen, size)
    torch.testing.assert_close(contours.mT, expected["contours"][order], rtol=0, atol=1e-3)


def test_a_disc_by_hand():
    center, rays = distances(disc(41, (20, 20), 12))
    assert center.tolist() == [20, 20]
    assert rays.sub(12).abs().max() < 0.9  # pixels are whole, a circle is not
    assert rays[0] == rays[9] == rays[18] == rays[27] == 12  # down, right, up, left


def test_ray_0_points_down_and_a_quarter_further_right():
    mask = torch.zeros(30, 30, dtype=torch.bool)
    mask[10:20, 10:13] = True  # 10 high and 3 wide
    center, rays = distances(mask, rays=4)
    assert center.tolist() == [11, 14.5]
    # Halfway between two rows, the nearest pixels are √(1 + 1/4) away.
    assert rays.tolist() == pytest.approx([4.5, 1.118, 4.5, 1.118], abs=1e-3)


@pytest.mark.parametrize("rays", [12, 24, 36, 72])
def test_a_contour_is_filled_to_the_same_mask(rays):
    mask = disc(60, (28.3, 31.7), 17.6)
    center, found = distances(mask, rays)
    assert iou(polar_masks(center[None], found[None], (60, 60))[0], mask) > 0.93


def test_holes_and_lesser_parts_do_not_count():
    whole = disc(60, (25, 25), 15)
    torn = whole & ~disc(60, (25, 25), 6) | disc(60, (52, 52), 4)
    for one, other in zip(distances(whole), distances(torn), strict=True):
        assert torch.equal(one, other)


def test_a_ray_without_a_pixel_is_interpolated_but_missing_in_the_authors_code():
    mask = torch.zeros(9, 9, dtype=torch.bool)
    mask[3:6, 3:6] = True
    _, (contour,) = contours_of(mask[None])
    arguments = (contour.points[None], torch.tensor([8]), contour.center[None], 36)
    ours, theirs = (ray_distances(*arguments, rule)[0] for rule in ("interpolated", "published"))
    assert ours.min() == 1
    assert ours.max() <= math.sqrt(2)
    assert int((theirs < 0.5).sum()) > 18


def test_from_a_bay_the_rays_through_its_opening_have_no_length():
    whole = disc(61, (30, 30), 20)
    whole[:, 30:] &= ~disc(61, (44, 30), 14)[:, 30:]  # a bite from the right
    (contour,) = contours_of(whole[None])[1]
    starts = torch.tensor([[18.0, 30.0], [35.0, 30.0]])  # inside, and in the bay
    inside, bay = rays_from([contour, contour], starts, 36, "interpolated")
    assert inside.min() > 5
    assert bay[9] < 1e-3  # to the right, through the opening
    assert bay[27] > 20  # to the left, across the object
    centerness = polar_centerness(torch.stack([inside, bay]))
    assert centerness[0] > 0.3
    assert centerness[1] < 0.01  # an arc across the opening would give it more than the inside


def test_neighbouring_pixels_leave_no_opening_however_near_they_are():
    mask = torch.zeros(20, 20, dtype=torch.bool)
    mask[9:11, 2:18] = True  # two pixels high: its mass centre is half a pixel from both rows
    _, rays = distances(mask)
    assert rays.min() > 0.4


def test_rays_that_do_not_divide_the_circle_are_refused():
    with pytest.raises(SeglibError, match="rays must divide 360"):
        ray_distances(torch.zeros(1, 1, 2), torch.tensor([1]), torch.zeros(1, 2), 7)
    with pytest.raises(SeglibError, match="rays=7"):
        replace(PolarMaskConfig.pocket(), rays=7)
    with pytest.raises(SeglibError, match="one for each of the 3 levels"):
        replace(PolarMaskConfig.pocket(), ranges=(16.0, 32.0))


def test_polar_iou_by_hand_in_all_bodies():
    predicted, true = torch.tensor([[2.0, 4.0], [1.0, 1.0]]), torch.tensor([[4.0, 2.0], [1.0, 1.0]])
    for style in ("naive", "scratch", "native"):
        with use(style):
            assert ops.polar_iou(predicted, true).tolist() == [0.5, 1.0]
    with pytest.raises(SeglibError, match="along the same rays"):
        ops.polar_iou(predicted, true[:1])


def test_sides_overlap_as_boxes_do():
    a, b = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[2.0, 1.0, 3.0, 5.0]])
    boxes = [torch.cat([10 - sides[:, :2], 10 + sides[:, 2:]], dim=1) for sides in (a, b)]
    torch.testing.assert_close(side_iou(a, b, 0.0)[0], ops.box_iou(*boxes)[0, 0])


def test_the_smallest_object_gets_a_location_and_levels_divide_objects_by_size():
    large, small = disc(128, (64, 64), 50), disc(128, (64, 64), 6)
    masks = torch.stack([large, small])
    target = SizedTarget(ops.masks_to_boxes(masks), torch.tensor([1, 2]), masks)
    config = PolarMaskConfig.pocket()
    locations = make_locations([(32, 32), (16, 16), (8, 8)], [4, 8, 16], config.ranges)
    found = polar_targets(locations, [target], config).labels[0].split([1024, 256, 64])
    assert [sorted(set(labels.tolist())) for labels in found] == [[0, 2], [0, 1], [0]]


def test_more_rays_describe_more_and_no_number_describes_a_ring():
    data = load_dataset("pocket", split="val", limit=20)
    masks = [mask for _, target in data for mask in target.masks[~target.iscrowd]]
    found = []
    for rays in (12, 36, 72):
        shapes = [distances(mask, rays) for mask in masks]
        again = [
            polar_masks(c[None], r[None], m.shape)[0]
            for (c, r), m in zip(shapes, masks, strict=True)
        ]
        found.append(float(np.mean([iou(a, m) for a, m in zip(again, masks, strict=True)])))
    assert found[0] < found[1] < found[2] < 0.95
    ring = disc(60, (30, 30), 25) & ~disc(60, (30, 30), 20)
    center, rays = distances(ring, 72)
    assert iou(polar_masks(center[None], rays[None], ring.shape)[0], ring) < 0.45


def test_masks_of_a_resized_image_are_those_of_the_image():
    center, rays = torch.tensor([[20.0, 15.0]]), torch.full((1, 36), 8.0)
    small = polar_masks(center, rays, (40, 40))
    large = polar_masks(center, rays, (80, 120), scale=(2.0, 3.0))
    shrunk = torch.nn.functional.adaptive_avg_pool2d(large.float()[None], (40, 40))[0] > 0.5
    assert iou(shrunk[0], small[0]) > 0.95


def test_perfect_contours_are_the_ceiling_of_n_rays():
    data = load_dataset("pocket", split="val", limit=4)
    model = PolarMask(PolarMaskConfig.pocket(), data.categories)
    image, target = data[0]
    found = model.perfect(image, target).instances
    truth = target[model.learnable_objects(target)]
    assert found.labels.tolist() == truth.labels.tolist()
    overlaps = [iou(a, b) for a, b in zip(found.masks, truth.masks, strict=True)]
    assert 0.7 < np.mean(overlaps) < 0.9  # a contour cannot tell all
    assert model.output_form.numbers == {"rays": 36}


def test_a_level_that_is_cut_keeps_its_best():
    torch.manual_seed(0)
    model = PolarMask(replace(PolarMaskConfig.pocket(), before_nms=3), some_categories(2)).eval()
    with torch.no_grad():
        output = model([torch.rand(3, 64, 64)])
    found = model.candidates(output, 0, (64, 64))
    assert len(found.boxes) == 3 * 3
    rank = output.head.logits[0].sigmoid().amax(1) * output.head.centerness[0].sigmoid()
    best = rank[:256].topk(3).indices
    assert found.points[:3].tolist() == output.locations.points[best].tolist()
