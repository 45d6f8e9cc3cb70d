"""MaskFormer and Mask2Former: the authors' functions, three tasks from one set, learning."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seglib.cli.prediction_records import prediction_record
from seglib.models.detr.losses import class_losses, object_count
from seglib.models.detr.matching import Matching, class_cost, match
from seglib.models.maskformer import MaskFormer, MaskFormerConfig
from seglib.models.maskformer.costs import cross_entropy_cost, dice_cost, focal_cost
from seglib.models.maskformer.decoders import outside_masks
from seglib.models.maskformer.inference import (
    instances,
    panoptic_map,
    semantic_map,
    semantic_scores,
)
from seglib.models.maskformer.losses import match_segments, pixel_losses, point_losses
from seglib.models.maskformer.points import at_shared_points, uncertain_points
from seglib.models.maskformer.segments import with_stuff
from seglib.models.targets import SizedTarget
from seglib.structures import Categories, Category, Panoptic, Prediction, Target
from tests.helpers import golden_tensors
from tests.modelling import boxes_target, randomize_zeros
from tests.set_prediction import golden_objects, ours

SIZE = (64, 80)
VARIANTS = ("maskformer", "mask2former")


def categories(things: int = 2, stuff: int = 1) -> Categories:
    return Categories(
        Category(label, label, f"class{label}", is_thing=label <= things)
        for label in range(1, things + stuff + 1)
    )


def tiny(variant: str, **changes: object) -> MaskFormer:
    """The pocket preset with fewer channels, layers and queries."""
    torch.manual_seed(0)
    small = {"blocks": (1, 1, 1, 1), "width": 16, "channels": 32, "hidden": 32, "queries": 6}
    config = replace(MaskFormerConfig.pocket(variant), decoder_layers=2, **small, **changes)
    return MaskFormer(config, categories())


def scene(boxes=((8, 8, 40, 40),), labels=(2,), iscrowd=None) -> Target:
    """Things on a lower half of stuff (label 3)."""
    target = boxes_target(SIZE, list(boxes), list(labels), iscrowd=iscrowd)
    semantic = torch.zeros(SIZE, dtype=torch.int64)
    semantic[32:] = 3
    for mask, label in zip(target.masks, labels, strict=True):
        semantic[mask] = label
    target.semantic = semantic
    return target


def assert_matched(matching: Matching, out: dict[str, Tensor], cost: Tensor) -> None:
    """The pairs of a golden case."""
    layers, images, queries, objects = cost.shape
    assert layers == 1
    for found, name, number in (
        (matching.queries[0], "query", queries),
        (matching.objects[0], "gt", objects),
    ):
        expected = [out[f"{name}_index_{image}"] + image * number for image in range(images)]
        assert torch.equal(found, torch.cat(expected))


def test_costs_and_matching_are_those_of_maskformer() -> None:
    par, given, out = golden_tensors("maskformer_matcher", "basic")
    truth = golden_objects(given, 2)
    logits, masks = ours(given["logits"])[None], given["mask_logits"][None]
    small = torch.nn.functional.interpolate(
        truth.masks.float(), size=masks.shape[-2:], mode="nearest"
    ).flatten(2)
    pixels = masks.flatten(3)
    costs = {
        "cost_focal": focal_cost(pixels, small, float(par["alpha"]), float(par["gamma"])),
        "cost_dice": dice_cost(pixels, small),
        "cost_class": class_cost(logits, truth.labels[None]),
    }
    for name, cost in costs.items():
        for image, count in enumerate(truth.counts):
            expected = out[f"{name}_{image}"]
            torch.testing.assert_close(cost[0, image, :, :count], expected, rtol=0, atol=1e-4)
    weights = ("cost_mask", "cost_dice", "cost_class")
    total = sum(par[w] * cost for w, cost in zip(weights, costs.values(), strict=True))
    assert_matched(match(total, truth.counts), out, total)
    config = MaskFormerConfig()
    found = match_segments(logits, masks, truth, config, [])
    assert_matched(found, out, total)


@pytest.mark.parametrize("name", ["basic", "aux"])
def test_losses_are_those_of_maskformer(name: str) -> None:
    par, given, out = golden_tensors("maskformer_losses", name)
    truth, prefixes = golden_objects(given, 1), {"": ""}
    if name == "aux":
        prefixes = {"aux0_": "_0", "": ""}  # earlier layers come first
    logits = ours(torch.stack([given[f"{prefix}logits"] for prefix in prefixes]))
    masks = torch.stack([given[f"{prefix}mask_logits"] for prefix in prefixes])
    config = MaskFormerConfig()
    matching = match_segments(logits, masks, truth, config, [])
    count = object_count(truth.counts, logits)
    wanted = matching.labels_of_queries(truth.labels, logits.shape[2])
    losses = {
        "loss_ce": class_losses(logits, wanted, float(par["eos_coef"])),
        "loss_mask": pixel_losses(matching.predicted(masks), matching.true(truth.masks), count)[0],
        "loss_dice": pixel_losses(matching.predicted(masks), matching.true(truth.masks), count)[1],
    }
    total = torch.zeros(())
    for key, values in losses.items():
        for value, suffix in zip(values, prefixes.values(), strict=True):
            torch.testing.assert_close(value, out[f"{key}{suffix}"], rtol=1e-4, atol=0)
            total = total + par[key.replace("loss", "weight")] * value
    torch.testing.assert_close(total, out["weighted_total"], rtol=1e-4, atol=0)


def test_costs_at_points_are_those_of_mask2former() -> None:
    par, given, out = golden_tensors("mask2former_matcher", "basic")
    truth, points = golden_objects(given, 1), given["points_0"][None]
    logits = ours(given["logits"])[None]
    pixels = at_shared_points(given["mask_logits"], points)
    wanted = at_shared_points(truth.masks.float(), points)
    torch.testing.assert_close(pixels[0], out["sampled_pred_0"], rtol=0, atol=1e-4)
    torch.testing.assert_close(wanted[0], out["sampled_gt_0"], rtol=0, atol=1e-4)
    costs = {
        "cost_ce_0": cross_entropy_cost(pixels, wanted),
        "cost_dice_0": dice_cost(pixels, wanted),
        "cost_class_0": class_cost(logits, truth.labels[None])[0],
    }
    for name, cost in costs.items():
        torch.testing.assert_close(cost[0], out[name], rtol=0, atol=1e-4)
    weights = ("cost_mask", "cost_dice", "cost_class")
    total = sum(par[w] * cost for w, cost in zip(weights, costs.values(), strict=True))
    assert_matched(match(total[None], truth.counts), out, total[None])


def test_losses_at_points_are_those_of_mask2former() -> None:
    par, given, out = golden_tensors("mask2former_point_losses", "basic")
    truth, points = golden_objects(given, 1), given["matcher_points_0"][None]
    logits, masks = ours(given["logits"])[None], given["mask_logits"][None]
    pixels = at_shared_points(masks[0], points)
    wanted = at_shared_points(truth.masks.float(), points)
    cost = par["weight_mask"] * cross_entropy_cost(pixels, wanted)
    cost = cost + par["weight_dice"] * dice_cost(pixels, wanted)
    cost = cost[None] + par["weight_ce"] * class_cost(logits, truth.labels[None])
    matching = match(cost, truth.counts)
    assert matching.queries[0].tolist() == out["matched_query"].tolist()
    assert matching.objects[0].tolist() == out["matched_gt"].tolist()
    assert not out["matched_batch"].any()
    chosen = matching.predicted(masks)
    uncertain = int(par["importance_sample_ratio"] * par["num_points"])
    candidates = given["rand_oversampled"][None]
    rows = uncertain_points(chosen[0], candidates[0], uncertain)
    assert torch.equal(rows.sort(dim=1).values, out["important_point_index"])
    count = object_count(truth.counts, logits)
    bce, dice = point_losses(
        chosen,
        matching.true(truth.masks),
        count,
        candidates,
        given["rand_uniform"][None],
        uncertain,
    )
    labels = matching.labels_of_queries(truth.labels, logits.shape[2])
    (class_loss,) = class_losses(logits, labels, float(par["eos_coef"]))
    found = {"loss_mask": bce[0], "loss_dice": dice[0], "loss_ce": class_loss}
    total = sum(par[key.replace("loss", "weight")] * value for key, value in found.items())
    for key, value in (found | {"weighted_total": total}).items():
        torch.testing.assert_close(value, out[key], rtol=1e-4, atol=0)


def test_masked_attention_blocks_what_mask2former_blocks() -> None:
    par, given, out = golden_tensors("mask2former_attn_mask", "basic")
    logits = torch.einsum("bqm,bmhw->bqhw", given["mask_embed"], given["mask_features"])
    torch.testing.assert_close(logits, out["mask_logits"], rtol=0, atol=1e-4)
    found = outside_masks(logits, (int(par["target_h"]), int(par["target_w"])))
    assert torch.equal(found, out["blocked"].bool())
    opened = out["blocked_raw"].bool().all(dim=-1)
    assert torch.equal(found | opened[..., None], out["blocked_raw"].bool())


def golden_segments() -> tuple[dict[str, Tensor], Tensor, Tensor, dict[str, Tensor], Categories]:
    par, given, out = golden_tensors("maskformer_inference", "basic")
    things, classes = int(par["num_thing_classes"]), int(par["num_classes"])
    known = categories(things, classes - things)
    return par, ours(given["class_logits"]), given["mask_logits"], out, known


def test_semantic_scores_are_those_of_maskformer() -> None:
    _, logits, masks, out, known = golden_segments()
    scores = semantic_scores(logits, masks)
    torch.testing.assert_close(scores, out["semantic"], rtol=0, atol=1e-4)
    assert torch.equal(semantic_map(logits, masks, known), scores.argmax(0) + 1)


@pytest.mark.parametrize(("version", "inside_only"), [("v1", False), ("v2", True)])
def test_panoptic_maps_are_those_of_the_authors(version: str, inside_only: bool) -> None:
    par, logits, masks, out, known = golden_segments()
    thresholds = float(par["object_mask_threshold"]), float(par["overlap_threshold"])
    found = panoptic_map(logits, masks, known, *thresholds, inside_only=inside_only)
    expected = out[f"panoptic_{version}_map"]
    assert (found.segment_map != expected).float().mean() <= 0.001
    assert torch.equal(found.ids, out[f"panoptic_{version}_id"])
    assert torch.equal(found.labels, out[f"panoptic_{version}_class"] + 1)
    things = [int(known.by_label(label).is_thing) for label in found.labels.tolist()]
    assert things == out[f"panoptic_{version}_isthing"].tolist()


def test_instances_are_those_of_mask2former() -> None:
    par, logits, masks, out, known = golden_segments()
    all_things = categories(len(known), 0)
    for prefix, kinds in (("instance", all_things), ("instance_things_only", known)):
        found = instances(logits, masks, kinds, int(par["topk"]))
        torch.testing.assert_close(found.scores, out[f"{prefix}_scores"], rtol=0, atol=1e-5)
        assert torch.equal(found.labels, out[f"{prefix}_classes"] + 1)
        assert (found.masks != out[f"{prefix}_masks"].bool()).float().mean() <= 0.001


def test_without_stuff_undecided_pixels_are_background() -> None:
    logits, masks = torch.full((1, 3), -9.0), torch.full((1, 1, 2), 9.0)
    logits[0, 2], masks[0, 0, 1] = 9.0, -9.0
    assert semantic_map(logits, masks, categories(2, 0)).tolist() == [[2, 0]]
    assert semantic_map(logits, masks, categories(1, 1)).tolist() == [[2, 2]]


def test_stuff_is_one_segment_and_every_thing_its_own() -> None:
    target = scene([(0, 0, 8, 8), (20, 0, 28, 8)], [2, 2])
    things = SizedTarget(target.boxes, target.labels, target.masks)
    found = with_stuff(things, target.semantic, categories(stuff=2))
    assert found.labels.tolist() == [2, 2, 3]  # class 4 is not in the image
    assert torch.equal(found.masks[2], target.semantic == 3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_of_every_layer_are_finite_for_rare_images(variant: str) -> None:
    model = tiny(variant)
    many = [(x, y, x + 1, y + 1) for x in range(8) for y in range(2)]
    targets = [
        scene(many, [1] * len(many)),
        scene([(0, 0, 64, 3), (70, 50, 80, 64), (70, 50, 80, 64)], [1, 2, 2]),
        scene(iscrowd=[True]),
        scene([], []),
    ]
    losses = model.loss([torch.rand(3, *SIZE) for _ in targets], targets)
    earlier = ("_1", "_2") if variant == "mask2former" else ("_1",)
    kinds = ("class_loss", "mask_loss", "dice_loss")
    assert set(losses) == {f"{kind}{suffix}" for kind in kinds for suffix in ("", *earlier)}
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert total.isfinite()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_image_of_background_has_finite_losses(variant: str) -> None:
    model, nothing = tiny(variant), scene([], [])
    nothing.semantic = torch.zeros(SIZE, dtype=torch.int64)
    losses = model.loss([torch.rand(3, *SIZE)] * 2, [nothing, nothing])
    torch.stack(list(losses.values())).sum().backward()
    assert all(value.isfinite() for value in losses.values())
    assert losses["mask_loss"] == 0


def test_losses_do_not_depend_on_the_order_of_segments() -> None:
    model = randomize_zeros(tiny("maskformer")).eval().double()
    image = [torch.rand(3, *SIZE).double()]
    target = scene([(4, 4, 30, 30), (40, 20, 70, 60)], [1, 2])
    expected = model.loss(image, [target])
    mirrored = target[[1, 0]]
    for name, value in model.loss(image, [mirrored]).items():
        torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize("variant", VARIANTS)
def test_three_tasks_at_the_size_of_the_image(variant: str) -> None:
    model = randomize_zeros(tiny(variant, segment_threshold=0.0, overlap_threshold=0.0))
    found = model.predict([torch.rand(3, 50, 70)])[0]
    assert found.semantic.shape == found.panoptic.segment_map.shape == (50, 70)
    assert found.instances.masks.shape[1:] == (50, 70)
    assert set(found.panoptic.segment_map.unique().tolist()) <= {0, *found.panoptic.ids.tolist()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_overfits_one_image(variant: str) -> None:
    model = tiny(variant)
    image = torch.zeros(3, *SIZE)
    image[0, 8:40, 8:40], image[1, 32:] = 1.0, 0.5
    target = scene()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(25):
        optimizer.zero_grad()
        torch.stack(list(model.loss([image] * 2, [target] * 2).values())).sum().backward()
        optimizer.step()
    best = model.predict([image])[0].instances[:1]
    assert best.labels.tolist() == [2]
    overlap = (best.masks[0] & target.masks[0]).sum() / (best.masks[0] | target.masks[0]).sum()
    assert overlap > 0.6


def test_an_image_is_predicted_as_if_it_were_alone() -> None:
    model = randomize_zeros(tiny("mask2former"))
    image, other, larger = torch.rand(3, 50, 70), torch.rand(3, 50, 70), torch.rand(3, 90, 80)
    alone = model.predict([image])[0].instances
    together = model.predict([larger, other, image])[2].instances
    torch.testing.assert_close(together.scores, alone.scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.boxes, alone.boxes, rtol=1e-4, atol=1e-2)


def test_predictions_json_lists_the_panoptic_segments() -> None:
    segment_map = torch.tensor([[1, 1, 2], [1, 1, 0]])
    kinds = torch.tensor([2, 3])
    panoptic = Panoptic(segment_map, torch.tensor([1, 2]), kinds, torch.zeros(2).bool())
    record = prediction_record(Prediction((2, 3), categories(), panoptic=panoptic), (4, 6))
    found = [(s["id"], s["category"], s["area"]) for s in record["panoptic"]]
    assert found == [(1, "class2", 16), (2, "class3", 4)]
    assert record["panoptic"][0]["segmentation"]["size"] == [4, 6]
