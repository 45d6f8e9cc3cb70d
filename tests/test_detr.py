"""DETR: the authors' functions, properties of the set, rare images, learning."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seglib import SeglibError
from seglib.models.detr import DETR, DETRConfig
from seglib.models.detr.losses import box_losses, class_losses, mask_losses, object_count
from seglib.models.detr.mask_head import AttentionMap, MaskHead
from seglib.models.detr.matching import box_costs, class_cost, match
from seglib.models.detr.postprocess import best_classes, boxes_in_pixels, masks_in_pixels
from seglib.ops.upsampling import interpolate
from tests.helpers import golden_tensors
from tests.modelling import boxes_target, randomize_zeros, some_categories
from tests.set_prediction import golden_objects, ours

SIZE = (64, 80)


def tiny(variant: str = "masks", **changes: object) -> DETR:
    """Pocket's DETR with fewer channels, layers and queries."""
    torch.manual_seed(0)
    small = {"blocks": (1, 1, 1, 1), "width": 16, "channels": 64, "hidden": 32, "queries": 6}
    config = replace(DETRConfig.pocket(variant), encoder_layers=1, **small, **changes)
    return DETR(config, some_categories(3))


def costs_of(par: dict[str, Tensor], logits: Tensor, boxes: Tensor, truth) -> Tensor:
    distance, overlap = box_costs(boxes, truth.boxes)
    cost = par["cost_class"] * class_cost(logits, truth.labels[None])
    return cost + par["cost_box"] * distance + par["cost_giou"] * overlap


@pytest.mark.parametrize(("name", "images"), [("basic", 1), ("batch", 2)])
def test_cost_and_matching_are_those_of_the_authors(name: str, images: int) -> None:
    par, given, out = golden_tensors("detr_matcher", name)
    truth = golden_objects(given, images)
    cost = costs_of(par, ours(given["logits"])[None], given["boxes"][None], truth)
    matching = match(cost, truth.counts)
    for image, count in enumerate(truth.counts):
        expected = out[f"cost_{image}"]
        torch.testing.assert_close(cost[0, image, :, :count], expected, rtol=0, atol=1e-4)
    starts = (
        [image * cost.shape[2] for image in range(images)],
        [i * cost.shape[3] for i in range(images)],
    )
    for found, name, first in zip(
        (matching.queries[0], matching.objects[0]), ("query", "gt"), starts, strict=True
    ):
        expected = [out[f"{name}_index_{image}"] + first[image] for image in range(images)]
        assert torch.equal(found, torch.cat(expected))


@pytest.mark.parametrize(("name", "images"), [("boxes", 2), ("masks", 1)])
def test_losses_are_those_of_the_authors(name: str, images: int) -> None:
    par, given, out = golden_tensors("detr_losses", name)
    truth = golden_objects(given, images)
    logits, boxes = ours(given["logits"])[None], given["boxes"][None]
    matching = match(costs_of(par, logits, boxes, truth), truth.counts)
    count = object_count(truth.counts, logits)
    wanted = matching.labels_of_queries(truth.labels, logits.shape[2])
    (class_loss,) = class_losses(logits, wanted, float(par["eos_coef"]))
    l1, giou = box_losses(matching.predicted(boxes), matching.true(truth.boxes), count)
    found = {"loss_ce": class_loss, "loss_bbox": l1[0], "loss_giou": giou[0]}
    total = par["weight_ce"] * class_loss + par["weight_bbox"] * l1[0]
    total = total + par["weight_giou"] * giou[0]
    if name == "masks":
        masks = matching.predicted(given["mask_logits"][None])  # [1, N, h, w]
        large = interpolate(masks, tuple(truth.masks.shape[-2:]), "bilinear")
        (focal,), (dice,) = mask_losses(large, matching.true(truth.masks), count)
        found |= {"loss_mask": focal, "loss_dice": dice}
        total = total + par["weight_mask"] * focal + par["weight_dice"] * dice
    for key, value in (found | {"weighted_total": total}).items():
        torch.testing.assert_close(value, out[key], rtol=1e-4, atol=0)


def test_boxes_of_detections_are_those_of_the_authors() -> None:
    _, given, out = golden_tensors("detr_postprocess", "boxes")
    scores, labels = best_classes(ours(given["logits"]))
    torch.testing.assert_close(scores, out["scores"], rtol=0, atol=1e-5)
    assert torch.equal(labels, out["labels"] + 1)
    for image, size in enumerate(given["image_sizes_hw"].tolist()):
        boxes = boxes_in_pixels(given["boxes"][image], size)
        torch.testing.assert_close(boxes, out["boxes"][image], rtol=0, atol=1e-2)


def test_masks_of_detections_are_those_of_the_authors() -> None:
    _, given, out = golden_tensors("detr_postprocess", "segm")
    seen, size = given["input_sizes_hw"][0].tolist(), given["original_sizes_hw"][0].tolist()
    masks = masks_in_pixels(given["mask_logits"][0], tuple(seen), tuple(seen), tuple(size))
    assert (masks != out["masks_0"].bool()).float().mean() <= 0.001


def test_the_attention_map_is_that_of_the_authors() -> None:
    par, given, out = golden_tensors("detr_modules", "attention_map")
    layer = AttentionMap(given["query"].shape[-1], int(par["nhead"]), "joint")
    layer.load_state_dict({k[2:]: v for k, v in given.items() if k.startswith("w:")})
    queries, image = given["query"][0], torch.zeros(3).long()
    found = layer(queries, image, given["memory"], given["padding_mask"].bool())
    torch.testing.assert_close(found, out["attention"][0], rtol=0, atol=1e-4)
    torch.testing.assert_close(found.sum(dim=(1, 2, 3)), torch.ones(3))
    layer.softmax = "per_head"
    found = layer(queries, image, given["memory"], given["padding_mask"].bool())
    torch.testing.assert_close(found.sum(dim=(2, 3)), torch.ones(3, int(par["nhead"])))


def test_the_mask_head_is_that_of_the_authors() -> None:
    par, given, out = golden_tensors("detr_modules", "mask_head")
    pyramid = [given[level] for level in ("c4", "c3", "c2")]
    channels = given["src"].shape[1] + given["attention"].shape[2]
    head = MaskHead(channels, int(par["context_dim"]), [c.shape[1] for c in pyramid])
    head.load_state_dict({k[2:]: v for k, v in given.items() if k.startswith("w:")})
    found = head(given["src"], given["attention"][0], torch.zeros(2).long(), pyramid)
    torch.testing.assert_close(found, out["mask_logits"][0], rtol=0, atol=1e-4)


def test_more_objects_than_queries_leave_some_without() -> None:
    cost = torch.arange(8.0).reshape(1, 1, 2, 4)
    matching = match(cost, [4])
    assert matching.queries.tolist() == [[0, 1]]
    labels = torch.tensor([[5, 6, 7, 8]])
    assert matching.true(labels).tolist() == matching.labels_of_queries(labels, 2)[0].tolist()


def test_queries_without_objects_learn_no_object() -> None:
    logits = torch.zeros(1, 1, 3, 4)
    wanted = torch.tensor([[[0, 2, 0]]])
    (loss,) = class_losses(logits, wanted, 0.1)
    assert loss.item() == pytest.approx(math.log(4))  # weights are in the denominator, too
    logits[..., 0] = 2.0  # "no object" is likelier: right for two queries of weight 0.1
    denominator = math.exp(2) + 3
    right, wrong = -math.log(math.exp(2) / denominator), -math.log(1 / denominator)
    (loss,) = class_losses(logits, wanted, 0.1)
    assert loss.item() == pytest.approx((0.2 * right + wrong) / 1.2, rel=1e-6)


@pytest.mark.parametrize("variant", ["boxes", "masks"])
def test_losses_have_names_for_every_layer(variant: str) -> None:
    model = tiny(variant)
    losses = model.loss([torch.rand(3, *SIZE)], [boxes_target(SIZE, [(8, 8, 40, 40)], [2])])
    kinds = ["class_loss", "box_loss", "giou_loss"]
    expected = {f"{kind}{layer}" for kind in kinds for layer in ("", "_1", "_2")}
    assert set(losses) == expected | ({"mask_loss", "dice_loss"} if variant == "masks" else set())


def test_losses_do_not_depend_on_the_order_of_objects_or_images() -> None:
    model = randomize_zeros(tiny()).eval().double()
    images = [torch.rand(3, *SIZE).double() for _ in range(2)]
    boxes, labels = [(4, 4, 30, 30), (40, 20, 70, 60), (10, 40, 22, 60)], [1, 2, 3]
    target, other = boxes_target(SIZE, boxes, labels), boxes_target(SIZE, boxes[:1], [3])
    expected = model.loss(images, [target, other])
    swapped = model.loss(images[::-1], [other, target[[2, 0, 1]]])
    for name, value in expected.items():
        torch.testing.assert_close(swapped[name], value)


def test_positions_in_the_padding_are_left_out() -> None:
    model = tiny().eval()
    image, larger = torch.rand(3, 64, 64), torch.rand(3, 96, 128)
    alone, together = model([image]), model([larger, image])
    inside = ~together.padding[1]
    assert inside.sum() == alone.padding[0].numel()
    place = model.position(together.padding, image)[1][:, inside]
    torch.testing.assert_close(place, model.position(alone.padding, image)[0].flatten(1))


def test_rare_targets_with_crowds_borders_and_many_objects() -> None:
    model = tiny()
    many = [(x, y, x + 1, y + 1) for x in range(0, 8) for y in range(2)]
    border = [(0, 0, 64, 3), (70, 50, 80, 64), (70, 50, 80, 64)]
    targets = [
        boxes_target(SIZE, many, [1] * len(many)),
        boxes_target(SIZE, border, [1, 2, 3]),
        boxes_target(SIZE, border[:1], [1], iscrowd=[True]),
        boxes_target(SIZE, [], []),
    ]
    losses = model.loss([torch.rand(3, *SIZE) for _ in targets], targets)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert total.isfinite()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_predictions_are_as_many_as_queries_best_first() -> None:
    model = randomize_zeros(tiny())
    found = model.predict([torch.rand(3, 50, 70)])[0].instances
    assert len(found) == 6
    assert found.masks.shape == (6, 50, 70)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert tiny("boxes").predict([torch.rand(3, 50, 70)])[0].instances.masks is None


def test_a_config_that_cannot_be_built_is_refused() -> None:
    with pytest.raises(SeglibError, match="multiple of the heads"):
        DETRConfig(channels=100, heads=8)


def test_it_overfits_one_image() -> None:
    model = tiny("boxes")
    image = torch.zeros(3, *SIZE)
    image[0, 10:40, 10:40] = 1.0
    target = boxes_target(SIZE, [(10, 10, 40, 40)], [2])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(40):
        optimizer.zero_grad()
        torch.stack(list(model.loss([image] * 2, [target] * 2).values())).sum().backward()
        optimizer.step()
    best = model.predict([image])[0].instances[:1]
    assert best.labels.tolist() == [2]
    assert (best.boxes - target.boxes).abs().max() < 8


def test_an_image_is_predicted_as_if_it_were_alone() -> None:
    model = randomize_zeros(tiny())
    image, other, larger = torch.rand(3, 50, 70), torch.rand(3, 50, 70), torch.rand(3, 90, 80)
    alone = model.predict([image])[0].instances
    together = model.predict([larger, other, image])[2].instances
    torch.testing.assert_close(together.scores, alone.scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.boxes, alone.boxes, rtol=1e-4, atol=1e-2)
