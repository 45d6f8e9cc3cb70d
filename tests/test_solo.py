"""SOLO: cells and targets by hand, the official vectors, what the official code gets wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import seglib
from seglib import SeglibError
from seglib.models import build_model
from seglib.models.solo import SOLO, SOLOConfig
from seglib.models.solo.config import GEOMETRIC, OFFICIAL, Selection, SOLORules
from seglib.models.solo.levels import resize_to_grid
from seglib.models.solo.losses import class_loss, mask_loss
from seglib.models.solo.mask_maps import Cells, DynamicMaps, LocationMaps
from seglib.models.solo.postprocess import candidates, full_size, suppressed
from seglib.models.solo.targets import (
    Assignment,
    BatchObjects,
    assign_cells,
    cells_of,
    mask_targets,
    mass_centres,
)
from seglib.ops.masks import mask_iou
from seglib.structures import Target
from tests.helpers import golden
from tests.modelling import boxes_target, masks_target, randomize_zeros, some_categories
from tests.parity import assert_same

VARIANTS = ["solo", "decoupled", "decoupled_light", "v2"]
SIZE = (64, 80)


def tensor(array: Any) -> Tensor:
    return torch.from_numpy(array)


def small(variant: str = "v2", **fields: Any) -> SOLO:
    """A pocket network with few channels and a wide choice of scores."""
    torch.manual_seed(0)
    options = {"fpn_width": 16, "tower_width": 16, "tower_layers": 2, "kernel_channels": 16}
    model = build_model(
        "solo",
        some_categories(),
        variant=variant,
        blocks=(1, 1, 1, 1),
        width=8,
        **options,
        **fields,
    )
    assert isinstance(model, SOLO)
    return model


def config_of(par: dict[str, Any], variant: str) -> SOLOConfig:
    """The published configuration with a golden case's grids; its boxes are as they are."""
    return replace(
        SOLOConfig.paper("v2" if variant == "v2" else "solo"),
        rules=replace(OFFICIAL, short_boxes=False),
        grids=tuple(int(side) for side in par["grids"]),
        scale_ranges=tuple((float(low), float(high)) for low, high in par["scale_ranges"]),
        centre_region=float(par["sigma"]),
    )


def objects_of(masks: Tensor, boxes: Tensor, labels: Tensor) -> BatchObjects:
    """The objects of one image that fills its canvas."""
    image = torch.zeros(len(labels), dtype=torch.int64)
    extents = torch.tensor([masks.shape[1:]] * len(labels), dtype=torch.float64)
    return BatchObjects(image, labels, boxes, masks > 0, extents)


def golden_assignment(
    case: dict[str, dict[str, Any]], variant: str, suffix: str = ""
) -> tuple[SOLOConfig, BatchObjects, Assignment]:
    config, given = config_of(case["par"], variant), case["in"]
    names = (f"gt_{name}{suffix}" for name in ("masks", "boxes", "labels"))
    objects = objects_of(*(tensor(given[name]) for name in names))
    return config, objects, assign_cells(objects, 1, config)


@pytest.mark.parametrize("variant", ["solo", "v2"])
@pytest.mark.parametrize("name", ["basic", "default_grids"])
def test_targets_equal_the_official_ones(variant: str, name: str) -> None:
    case = golden("solov2_targets" if variant == "v2" else "solo_targets")[name]
    config, objects, assignment = golden_assignment(case, variant)
    labels = assignment.labels[0].split([side**2 for side in config.grids])
    learned = 0
    for level, side in enumerate(config.grids):
        out = {key: tensor(case["out"][f"{key}_l{level}"]) for key in ("cate", "masks")}
        assert torch.equal(labels[level].reshape(side, side), out["cate"].long())
        own = (assignment.cells.level == level).nonzero().squeeze(1)
        cells = (assignment.cells.row * side + assignment.cells.column)[own]
        if variant == "solo":
            order = cells.argsort()
            cells, own = cells[order], own[order]
            assert cells.tolist() == case["out"][f"pos_index_l{level}"].tolist()
        else:
            assert cells.tolist() == case["out"][f"grid_order_l{level}"].tolist()
        found = mask_targets(objects.masks, out["masks"].shape[-2:], binary=True)
        assert torch.equal(found[assignment.objects[own]] > 0, out["masks"] > 0)
        learned += len(own)
    assert learned >= 10


@pytest.mark.parametrize("variant", ["solo", "v2"])
def test_losses_equal_the_official_ones(variant: str) -> None:
    case = golden("solo_losses")["full_v2" if variant == "v2" else "full_v1"]
    config, objects, assignment = golden_assignment(case, variant, "_0")
    given = case["in"]

    def levels(key: str) -> list[Tensor]:
        return [tensor(given[f"{key}_l{level}"]) for level in range(len(config.grids))]

    if variant == "v2":
        features = tensor(given["mask_features"])
        maps: Any = DynamicMaps(levels("kernels"), features, config.grids)
    else:
        maps = LocationMaps(levels("mask_logits"), config.grids)
    dice = mask_loss(maps, assignment, objects.masks, binary=True)
    found = config.mask_loss_weight * dice.item()
    assert found == pytest.approx(float(case["out"]["loss_mask"]), rel=1e-4)
    focal = class_loss(levels("cate_logits"), assignment.labels).item()
    assert focal == pytest.approx(float(case["out"]["loss_cate"]), rel=1e-4)


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_detections_equal_the_official_ones(name: str) -> None:
    case = golden("solo_postprocess")[name]
    par, given, out = case["par"], case["in"], case["out"]
    scores = tensor(given["cate"])
    if name == "v1":
        masks = tensor(given["mask_probs"])
    else:
        features = tensor(given["mask_features"])
        masks = (tensor(given["kernels"]) @ features.flatten(1)).sigmoid()
        masks = masks.unflatten(1, features.shape[1:])
    rules = Selection(
        score_threshold=float(par["score_thr"]),
        mask_threshold=float(par["mask_thr"]),
        before_nms=int(par["nms_pre"]),
        sigma=float(par["sigma"]),
        final_threshold=float(par["update_thr"]),
        max_detections=int(par["max_per_img"]),
    )
    strides = tensor(par["strides"]).repeat_interleave(tensor(par["grids"]).long() ** 2)
    found = suppressed(candidates(scores, lambda cells: masks[cells], strides, rules), rules)
    height, width = masks.shape[-2:]
    seen, size = (tuple(par[f"{key}_size"].astype(int)) for key in ("image", "original"))
    final = full_size(found.masks, (4 * height, 4 * width), seen, size, rules.mask_threshold)
    assert len(found.scores) >= 40
    torch.testing.assert_close(found.scores, tensor(out["scores"]), rtol=0, atol=1e-5)
    assert torch.equal(found.classes, tensor(out["labels"]).long())
    assert (final != tensor(out["masks"]).bool()).float().mean() <= 1e-3


def assigned(
    boxes: Sequence[Sequence[int]], variant: str = "solo", **fields: Any
) -> tuple[SOLOConfig, Assignment]:
    """What the cells of a 32 x 32 image with one 8 x 8 grid learn from rectangles, labels 1, 2…"""
    config = replace(
        SOLOConfig.pocket(variant),  # type: ignore[arg-type]
        blocks=(),
        grids=(8,),
        scale_ranges=((0, 100),),
        **fields,
    )
    target = boxes_target((32, 32), boxes, list(range(1, len(boxes) + 1)))
    return config, assign_cells(objects_of(target.masks, target.boxes, target.labels), 1, config)


def positives(assignment: Assignment) -> list[tuple[int, int]]:
    return list(zip(assignment.cells.row.tolist(), assignment.cells.column.tolist(), strict=True))


def test_by_hand_the_centre_region_touches_neighbours() -> None:
    # Centre (16, 18), on a border of rows; a fifth of 20 x 4 px reaches 2 px up and 0.4 px aside.
    _, assignment = assigned([(14, 6, 22, 26)])
    assert positives(assignment) == [(3, 4), (4, 4)]
    assert assignment.labels[0].nonzero().flatten().tolist() == [28, 36]
    # A region of 1.0 would cover five rows: only the direct neighbours of the centre's cell count.
    _, assignment = assigned([(14, 6, 22, 26)], centre_region=1.0)
    assert {row for row, _ in positives(assignment)} == {3, 4, 5}


@pytest.mark.parametrize("variant", ["solo", "v2"])
def test_in_a_shared_cell_the_later_object_wins_but_v2_learns_both_masks(variant: str) -> None:
    _, assignment = assigned([(8, 8, 12, 12), (9, 9, 12, 11)], variant)
    assert positives(assignment) == [(2, 2)] * (2 if variant == "v2" else 1)
    assert assignment.objects.tolist() == ([0, 1] if variant == "v2" else [1])
    assert assignment.labels[0, 2 * 8 + 2] == 2


def test_ranges_overlap_and_limits_belong_to_them() -> None:
    config = replace(
        SOLOConfig.pocket(),
        blocks=(1,),
        grids=(2, 4),
        scale_ranges=((0, 8), (8, 16)),
    )
    for side, levels in ((7, {0}), (8, {0, 1}), (9, {1}), (17, set())):
        target = boxes_target((32, 32), [(0, 0, side, side)], [1])
        objects = objects_of(target.masks, target.boxes, target.labels)
        assert set(assign_cells(objects, 1, config).cells.level.tolist()) == levels


def test_the_mass_centre_is_not_the_box_centre() -> None:
    mask = torch.zeros(1, 6, 8, dtype=torch.bool)
    mask[0, 0, :4], mask[0, :4, 0] = True, True  # an L of 7 pixels
    assert mass_centres(mask)[0].tolist() == pytest.approx([6 / 7 + 0.5] * 2)
    assert mass_centres(mask, pixel_indices=True)[0].tolist() == pytest.approx([6 / 7] * 2)


def test_the_official_division_puts_borders_into_the_lower_cell() -> None:
    """40 px of 320 are an eighth: cell 5 of 40. 1 / 40 is rounded up, and 4 of them fit."""
    place, extent = torch.full((1, 2), 40.0).double(), torch.full((1, 2), 320.0).double()
    grids = torch.tensor([40])
    assert cells_of(place, extent, grids).tolist() == [[[5, 5]]]
    assert cells_of(place, extent, grids, rounded=True).tolist() == [[[4, 4]]]
    every = torch.arange(0, 320, 8).double()[:, None].expand(-1, 2)
    rounded = cells_of(every, extent.expand(40, 2), grids, rounded=True)[:, 0, 0]
    assert rounded.tolist() == [int((c / 320) // (1 / 40)) for c in range(0, 320, 8)]
    assert torch.equal(cells_of(every, extent.expand(40, 2), grids)[:, 0, 0], torch.arange(40))
    assert (rounded < torch.arange(40)).sum() > 20


def test_mask_targets_are_fractions_or_officially_rounded() -> None:
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, :2, :3], masks[0, 2, 0] = True, True
    assert mask_targets(masks, (2, 2)).tolist() == [[[1, 0.5], [0.25, 0]]]
    assert mask_targets(masks, (2, 2), binary=True).tolist() == [[[1, 1], [0, 0]]]
    assert mask_targets(masks[:0], (2, 2)).shape == mask_targets(masks[:0], (2, 2), True).shape


def test_cells_are_numbered_level_by_level() -> None:
    grids = (3, 2)
    cells = Cells.from_numbers(torch.arange(13), grids, image=1)
    assert torch.equal(cells.numbers(grids), torch.arange(13))
    assert cells.level.tolist() == [0] * 9 + [1] * 4
    assert (cells.row[5], cells.column[5], cells.row[11], cells.column[11]) == (1, 2, 1, 0)
    assert cells.image.unique().tolist() == [1]


def canvas_target(size: tuple[int, int], image_id: int = 0) -> Target:
    return boxes_target(size, [(8, 24, 40, 56)], [1], image_id=image_id)


def cells_beside_a_larger_image(model: SOLO) -> tuple[Tensor, Tensor]:
    """The labels of the cells of a small image, alone and in a batch with one twice as large."""
    images = [torch.rand(3, 64, 64), torch.rand(3, 128, 128)]
    targets = [canvas_target((64, 64)), canvas_target((128, 128))]
    alone = model.assign(images[:1], targets[:1], model.prepare(images[:1], 16))[1]
    together = model.assign(images, targets, model.prepare(images, 16))[1]
    return alone.labels[0], together.labels[0]


def test_the_official_grid_covers_the_padding_and_ours_the_image() -> None:
    alone, together = cells_beside_a_larger_image(small())
    assert alone.any()
    assert torch.equal(alone, together)
    alone, together = cells_beside_a_larger_image(small(rules=SOLORules(padded=True)))
    assert not torch.equal(alone, together)


def test_resizing_to_a_grid_leaves_out_the_padding() -> None:
    features = torch.rand(2, 3, 6, 8)
    found = resize_to_grid(features, 4, [(6, 8), (3, 5)])
    assert_same(found[1:], resize_to_grid(features[1:, :, :3, :5], 4))
    assert_same(found[:1], resize_to_grid(features[:1], 4))


def edge_targets() -> list[Target]:
    """Objects at the borders, two in one cell, one pixel, a crowd, nothing."""
    height, width = SIZE
    return [
        boxes_target(SIZE, [(0, 0, 6, 6), (width - 9, height - 4, width, height)], [1, 2]),
        boxes_target(SIZE, [(20, 20, 40, 40), (22, 22, 38, 38)], [1, 3]),
        boxes_target(SIZE, [(width - 1, height - 1, width, height)], [1]),
        boxes_target(SIZE, [(0, 0, 30, 30)], [1], iscrowd=[True]),
        boxes_target(SIZE, [], []),
        masks_target(torch.ones(1, *SIZE, dtype=torch.bool), [2]),
    ]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rules", [GEOMETRIC, OFFICIAL], ids=["geometric", "official"])
def test_hard_images_have_finite_losses_and_gradients(variant: str, rules: SOLORules) -> None:
    model, targets = small(variant, rules=rules), edge_targets()
    batches = [targets, *([target] for target in targets), targets[3:5]]
    for batch in batches:
        model.zero_grad()
        losses = model.loss([torch.rand(3, *SIZE) for _ in batch], batch)
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert total.isfinite()
        assert gradients
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("variant", VARIANTS)
def test_predictions_do_not_depend_on_the_batch(variant: str) -> None:
    easy = Selection(score_threshold=0.008, final_threshold=0.0)
    model = randomize_zeros(small(variant, selection=easy)).double()
    for name, weight in model.mask_branch.named_parameters():
        if name.startswith(("logits", "columns", "rows")):
            torch.nn.init.normal_(weight, std=0.5)
    image, larger = (torch.rand(3, *size).double() for size in ((48, 56), (72, 64)))
    alone = model.predict([image])[0].instances
    together = model.predict([larger, image])[1].instances
    assert alone is not None
    assert together is not None
    assert len(alone) >= 5
    assert_same(together.scores, alone.scores)
    assert torch.equal(together.masks, alone.masks)
    assert alone.masks.flatten(1).any(1).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_scratch_bodies_have_the_same_losses(variant: str) -> None:
    model, target = small(variant).double(), edge_targets()[0]
    image = torch.rand(3, *SIZE).double()
    native = model.eval().loss([image], [target])
    with seglib.use("scratch"):
        scratch = model.loss([image], [target])
    for name, value in native.items():
        assert_same(scratch[name], value)


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_overfits_one_image(variant: str) -> None:
    model = small(variant).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    image = torch.rand(3, *SIZE)
    target = boxes_target(SIZE, [(8, 8, 32, 40), (44, 20, 72, 52)], [1, 3])
    image[:, 8:40, 8:32], image[0, 20:52, 44:72] = 0.0, 1.0
    history = []
    for _ in range(30):
        losses = model.loss([image], [target])
        optimizer.zero_grad()
        sum(losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
    for name in history[0]:
        assert history[-1][name] < 0.7 * history[0][name]


@pytest.mark.parametrize("variant", VARIANTS)
def test_perfect_leaves_out_an_object_without_a_cell(variant: str) -> None:
    model, target = small(variant), boxes_target(SIZE, [(20, 20, 40, 40)] * 2, [1, 3])
    instances = model.perfect(torch.rand(3, *SIZE), target).instances
    assert instances is not None
    assert instances.labels.tolist() == [3]  # the later of the two
    target = boxes_target(SIZE, [(8, 8, 32, 40), (44, 20, 72, 52)], [1, 3])
    instances = model.perfect(torch.rand(3, *SIZE), target).instances
    assert instances is not None
    assert instances.masks is not None
    overlap = mask_iou(instances.masks, target.masks).diagonal()
    assert (overlap > 0.94).all()  # corners are lost at stride 4
    assert (overlap == 1).all() or variant != "v2"  # even coordinates survive stride 2


def test_pocket_is_small_and_paper_is_published() -> None:
    for variant in VARIANTS:
        model = build_model("solo", some_categories(16), variant=variant)
        assert sum(p.numel() for p in model.parameters()) < 2.9e6
        assert model.config.rules == GEOMETRIC
    paper = SOLOConfig.paper("v2")
    assert (paper.tower_width, paper.tower_layers, paper.rules) == (512, 4, OFFICIAL)


def test_a_configuration_needs_a_grid_and_a_range_per_level() -> None:
    with pytest.raises(SeglibError, match="5 levels"):
        SOLOConfig(grids=(40, 36))
    with pytest.raises(SeglibError, match="centre_region"):
        SOLOConfig(centre_region=2.0)
    with pytest.raises(SeglibError, match="variant"):
        SOLOConfig.pocket("v3")  # type: ignore[arg-type]
