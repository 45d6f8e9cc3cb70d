"""Cascade R-CNN: its stages equal the recorded ones, its losses and its two variants."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seglib.models import build_model
from seglib.models.cascade_rcnn import CascadeRCNN, CascadeRCNNConfig
from seglib.nn.box_sampling import label_boxes
from seglib.ops.box_coder import decode_deltas
from seglib.ops.boxes import clip_boxes
from seglib.ops.proposals import select_detections
from seglib.structures import Target
from tests.helpers import golden
from tests.modelling import randomize_statistics, some_categories

CASES = golden("cascade_stages")


def tensors(group: dict) -> dict[str, Tensor]:
    return {name: torch.as_tensor(value) for name, value in group.items()}


def refine(boxes: Tensor, deltas: Tensor, par: dict[str, Tensor], stage: int) -> Tensor:
    size = (int(par["height"]), int(par["width"]))
    weights = tuple(par["box_weights"][stage].tolist())
    return clip_boxes(decode_deltas(boxes, deltas, weights), size)


def test_training_stages_equal_the_recorded_ones() -> None:
    par, given, out = (tensors(CASES["train"][role]) for role in ("par", "in", "out"))
    boxes, background = given["proposals"], int(par["num_classes"])
    for stage in range(3):
        torch.testing.assert_close(boxes, out[f"input_boxes_{stage}"], rtol=0, atol=1e-3)
        labelled = label_boxes(
            boxes, given["gt_boxes"], given["gt_classes"] + 1, float(par["iou_thresholds"][stage])
        )
        expected = out[f"classes_{stage}"]
        assert torch.equal(labelled.labels, torch.where(expected == background, 0, expected + 1))
        foreground = labelled.labels.nonzero()[:, 0]
        assert torch.equal(foreground, out[f"fg_index_{stage}"])
        deltas = labelled.deltas(tuple(par["box_weights"][stage].tolist()))
        torch.testing.assert_close(
            deltas[foreground], out[f"fg_targets_{stage}"], rtol=1e-4, atol=1e-4
        )
        boxes = refine(boxes, given[f"deltas_{stage}"], par, stage)


def test_test_time_stages_equal_the_recorded_ones() -> None:
    par, given, out = (tensors(CASES["test"][role]) for role in ("par", "in", "out"))
    boxes = given["proposals"]
    for stage in range(3):
        torch.testing.assert_close(boxes, out[f"input_boxes_{stage}"], rtol=0, atol=1e-3)
        boxes = refine(boxes, given[f"deltas_{stage}"], par, stage)
    mean = torch.stack([given[f"logits_{stage}"].softmax(1) for stage in range(3)]).mean(0)
    torch.testing.assert_close(mean, out["mean_probs"], rtol=1e-5, atol=1e-6)
    found = select_detections(
        boxes,
        mean[:, :-1],  # the recorded background is last
        (int(par["height"]), int(par["width"])),
        float(par["score_thr"]),
        float(par["nms_iou"]),
        int(par["max_detections"]),
    )
    assert len(found.boxes) == len(out["boxes"]) == 28
    torch.testing.assert_close(found.boxes, out["boxes"], rtol=0, atol=1e-3)
    torch.testing.assert_close(found.scores, out["scores"], rtol=1e-5, atol=1e-6)
    assert torch.equal(found.classes, out["classes"])


@pytest.fixture
def image() -> Tensor:
    return torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def target() -> Target:
    masks = torch.zeros(2, 64, 96, dtype=torch.bool)
    masks[0, 10:40, 10:50] = True
    masks[1, 30:60, 60:90] = True
    return Target(
        boxes=torch.tensor([[10.0, 10, 50, 40], [60, 30, 90, 60]]),
        labels=torch.tensor([1, 3]),
        masks=masks,
        iscrowd=torch.zeros(2, dtype=torch.bool),
        area=masks.sum((1, 2)).float(),
        size=(64, 96),
        image_id=7,
    )


def cascade(variant: str = "detectron2") -> CascadeRCNN:
    torch.manual_seed(0)
    model = build_model("cascade_rcnn", some_categories(3), variant=variant)
    for head in model.box_heads:
        torch.nn.init.normal_(head.cls_score.weight, std=0.3)
        torch.nn.init.normal_(head.bbox_pred.weight, std=0.01)
    return randomize_statistics(model)


def test_official_losses_weigh_the_stages(image: Tensor, target: Target) -> None:
    plain = cascade("official")
    plain.config = replace(plain.config, stage_loss_weights=(1.0, 1.0, 1.0))
    weighted = cascade("official")
    losses = []
    for model in (plain, weighted):
        torch.manual_seed(1)
        losses.append(model.eval().loss([image], [target]))
    for stage, weight in enumerate((1.0, 0.5, 0.25), start=1):
        for kind in ("class", "box"):
            name = f"{kind}_{stage}"
            assert losses[0][name] > 0
            torch.testing.assert_close(losses[1][name], losses[0][name] * weight)


def test_detectron2_variant_scales_the_gradient_into_the_features(
    image: Tensor, target: Target
) -> None:
    """The heads learn at full rate, what they share at a third of it."""
    model = cascade("detectron2").eval()
    gradients = {}
    for scaled in (True, False):
        if not scaled:
            model.config = replace(
                model.config, variant="official", stage_loss_weights=(1.0, 1.0, 1.0)
            )
        model.zero_grad()
        torch.manual_seed(1)
        losses = model.loss([image], [target])
        sum(loss for name, loss in losses.items() if name[:4] in ("clas", "box_")).backward()
        gradients[scaled] = (
            model.backbone.conv1.weight.grad.clone(),
            model.box_heads[1].fc7.weight.grad.clone(),
        )
    torch.testing.assert_close(gradients[True][0] * 3, gradients[False][0], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(gradients[True][1], gradients[False][1])


def test_each_stage_is_given_the_boxes_of_the_one_before(image: Tensor) -> None:
    model = cascade().eval()
    with torch.no_grad():
        output = model([image])
    assert len(output.stages) == 3
    assert torch.equal(output.stages[0].boxes[0], output.proposals[0])
    for before, after in zip(output.stages, output.stages[1:], strict=False):
        assert after.boxes[0] is before.refined[0]
        assert not torch.equal(before.boxes[0], before.refined[0])
    mean = torch.stack([s.logits.softmax(1) for s in output.stages]).mean(0)
    torch.testing.assert_close(output.probabilities, mean)


def test_official_scores_come_from_the_last_input(image: Tensor) -> None:
    model = cascade("official").eval()
    with torch.no_grad():
        output = model([image])
        pooled = model.box_pooler(output.pyramid, output.stages[-1].boxes)
        mean = torch.stack([h(pooled)[0].softmax(1) for h in model.box_heads]).mean(0)
    torch.testing.assert_close(output.probabilities, mean)
    assert not torch.allclose(mean, output.stages[0].logits.softmax(1))


def test_prediction_fills_the_contract(image: Tensor) -> None:
    (prediction,) = cascade().predict([image])
    found = prediction.instances
    assert found is not None
    assert len(found) > 0
    assert found.masks.shape == (len(found), 64, 96)
    assert bool((found.scores.diff() <= 0).all())
    assert set(found.labels.tolist()) <= {1, 2, 3}


def test_paper_presets_follow_their_reference() -> None:
    official, detectron2 = (CascadeRCNNConfig.paper(v) for v in ("official", "detectron2"))
    assert (official.variant, detectron2.variant) == ("official", "detectron2")
    assert official.stage_ious == (0.5, 0.6, 0.7)
    assert official.stage_box_weights[2] == (30.0, 30.0, 15.0, 15.0)
    assert official.conventions == detectron2.conventions == "detectron2"
