"""Cascade R-CNN: stages equal to recorded ones, losses, and the two variants."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from seglib.errors import SeglibError
from seglib.models import build_model
from seglib.models.cascade_rcnn import CascadeRCNN, CascadeRCNNConfig
from seglib.models.mask_rcnn.box_targets import LabelledBoxes, label_boxes
from seglib.models.mask_rcnn.losses import box_losses
from seglib.models.targets import SizedTarget
from seglib.ops.boxes import decode_deltas
from seglib.structures import ImageBatch, Target
from tests.helpers import golden
from tests.modelling import boxes_target, randomize_statistics, some_categories

CASES = golden("cascade_stages")


def tensors(group: dict) -> dict[str, Tensor]:
    return {name: torch.as_tensor(value) for name, value in group.items()}


class Recorded(nn.Module):
    """A head that returns what was recorded, whatever its input."""

    def __init__(self, logits: Tensor, deltas: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.deltas = nn.Parameter(deltas[:, None])

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits[: len(pooled)], self.deltas[: len(pooled)]


class Pooler(nn.Module):
    """Pools nothing, and remembers the boxes that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, pyramid: object, boxes: list[Tensor]) -> Tensor:
        self.seen.append(torch.cat(boxes))
        return torch.zeros(len(self.seen[-1]), 1, requires_grad=True)


def recorded_cascade(case: str, **options: object) -> tuple[CascadeRCNN, dict[str, Tensor]]:
    """A model whose three heads return what a golden case recorded, and the case's parameters."""
    par, given = (tensors(CASES[case][role]) for role in ("par", "in"))
    classes = int(par["num_classes"]) if "num_classes" in par else given["logits_0"].shape[1] - 1
    rows = len(given["proposals"])
    config = replace(
        CascadeRCNNConfig.pocket(),
        stage_box_weights=tuple(tuple(w) for w in par["box_weights"].tolist()),
        **options,
    )
    model = CascadeRCNN(config, some_categories(classes)).eval()
    model.box_heads.heads = nn.ModuleList(
        Recorded(
            # The recorded background is last, seglib's is first.
            given.get(f"logits_{n}", torch.zeros(rows, classes + 1)).roll(1, dims=1),
            given[f"deltas_{n}"],
        )
        for n in range(3)
    )
    model.box_heads.pooler = Pooler()
    return model, par


def learn(
    model: CascadeRCNN, sampled: LabelledBoxes, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[tuple[Tensor, Tensor]], list[LabelledBoxes]]:
    """The labels [R] and target deltas [R, 4] of every stage; the mask branch's boxes."""
    seen = []

    def spy(logits: Tensor, deltas: Tensor, labels: Tensor, targets: Tensor, *rest: object):
        seen.append((labels, targets))
        return box_losses(logits, deltas, labels, targets, *rest)

    monkeypatch.setattr("seglib.models.mask_rcnn.box_heads.box_losses", spy)
    _, mask_boxes = model.box_heads.loss((), [sampled])
    return seen, mask_boxes


def recorded_training(model: CascadeRCNN, par: dict[str, Tensor]) -> LabelledBoxes:
    """The first stage's labelled boxes in the golden training case."""
    given = tensors(CASES["train"]["in"])
    size = (int(par["height"]), int(par["width"]))
    masks = torch.zeros(len(given["gt_boxes"]), *size, dtype=torch.bool)
    truth = SizedTarget(given["gt_boxes"], given["gt_classes"] + 1, masks)
    return label_boxes(given["proposals"], truth, model.box_heads.foreground_iou)


def decoded(model: CascadeRCNN, case: str, stage: int, boxes: Tensor) -> Tensor:
    """A stage's recorded deltas applied to its boxes [R, 4], not clipped."""
    deltas = tensors(CASES[case]["in"])[f"deltas_{stage}"]
    return decode_deltas(boxes, deltas, model.config.stage_box_weights[stage])


def assert_within(actual: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(("variant", "mask_stage"), [("detectron2", 0), ("official", 2)])
def test_training_stages_equal_the_recorded_ones(
    variant: str, mask_stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ious = tuple(tensors(CASES["train"]["par"])["iou_thresholds"].tolist())
    model, par = recorded_cascade("train", variant=variant, stage_ious=ious)
    out, background = tensors(CASES["train"]["out"]), int(par["num_classes"])
    seen, mask_boxes = learn(model, recorded_training(model, par), monkeypatch)
    assert len(seen) == 3
    for stage, (labels, targets) in enumerate(seen):
        boxes = model.box_heads.pooler.seen[stage]
        assert not boxes.requires_grad
        assert_within(boxes, out[f"input_boxes_{stage}"], 1e-3)
        assert_within(decoded(model, "train", stage, boxes), out[f"decoded_{stage}"], 1e-3)
        expected = out[f"classes_{stage}"]
        assert torch.equal(labels, torch.where(expected == background, 0, expected + 1))
        foreground = labels.nonzero()[:, 0]
        assert torch.equal(foreground, out[f"fg_index_{stage}"])
        assert_within(targets[foreground], out[f"fg_targets_{stage}"], 1e-4)
    assert_within(mask_boxes[0].boxes, out[f"input_boxes_{mask_stage}"], 1e-3)


def test_boxes_that_a_stage_empties_do_not_reach_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    model, par = recorded_cascade("train")
    sampled = recorded_training(model, par)
    with torch.no_grad():
        model.box_heads.heads[0].deltas[4] = torch.tensor([1e4, 0.0, 0.0, 0.0])  # out of the image
    seen, _ = learn(model, sampled, monkeypatch)
    counts = [len(labels) for labels, _ in seen]
    rows = len(sampled.boxes)
    assert counts == [rows, rows - 1, rows - 1]


def test_test_time_stages_equal_the_recorded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    par = tensors(CASES["test"]["par"])
    model, _ = recorded_cascade(
        "test",
        score_threshold=float(par["score_thr"]),
        nms_iou=float(par["nms_iou"]),
        max_detections=int(par["max_detections"]),
    )
    given, out = (tensors(CASES["test"][role]) for role in ("in", "out"))
    size = (int(par["height"]), int(par["width"]))
    batch = ImageBatch(torch.zeros(1, 3, *size), [size])
    monkeypatch.setattr(model, "first_stage", lambda images: (batch, (), None))
    monkeypatch.setattr(model.rpn, "proposals", lambda rpn, sizes: [(given["proposals"], None)])
    with torch.no_grad():
        output = model([batch.tensor[0]])
        (found,) = model.detect(output)
    assert len(model.box_heads.pooler.seen) == 3
    for stage, boxes in enumerate(model.box_heads.pooler.seen):
        assert_within(boxes, out[f"input_boxes_{stage}"], 1e-3)
        assert_within(decoded(model, "test", stage, boxes), out[f"decoded_{stage}"], 1e-3)
    assert_within(output.box_heads.probabilities, out["mean_probs"].roll(1, dims=1), 1e-5)
    assert len(found.boxes) == len(out["boxes"]) == 28
    assert_within(found.boxes, out["boxes"], 1e-3)
    assert_within(found.scores, out["scores"], 1e-5)
    assert torch.equal(found.classes, out["classes"])


@pytest.fixture
def image() -> Tensor:
    return torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def target() -> Target:
    return boxes_target((64, 96), [[10, 10, 50, 40], [60, 30, 90, 60]], [1, 3], image_id=7)


def cascade(variant: str = "detectron2", **options: object) -> CascadeRCNN:
    torch.manual_seed(0)
    model = build_model("cascade_rcnn", some_categories(3), variant=variant, **options)
    for head in model.box_heads.heads:
        torch.nn.init.normal_(head.cls_score.weight, std=0.3)
        torch.nn.init.normal_(head.bbox_pred.weight, std=0.01)
    return randomize_statistics(model)


def test_official_losses_weigh_the_stages(image: Tensor, target: Target) -> None:
    plain, weighted = cascade("official", stage_loss_weights=(1.0, 1.0, 1.0)), cascade("official")
    losses = []
    for model in (plain, weighted):
        torch.manual_seed(1)
        losses.append(model.eval().loss([image], [target]))
    for stage, weight in enumerate((1.0, 0.5, 0.25), start=1):
        for kind in ("class_loss", "box_loss"):
            name = f"{kind}_{stage}"
            assert losses[0][name] > 0
            torch.testing.assert_close(losses[1][name], losses[0][name] * weight)


def test_detectron2_variant_scales_the_gradient_into_the_features(
    image: Tensor, target: Target
) -> None:
    """The heads learn at the full rate, the features that they share at a third of it."""
    gradients = []
    for variant in ("detectron2", "official"):
        model = cascade(variant, stage_loss_weights=(1.0, 1.0, 1.0)).eval()
        torch.manual_seed(1)
        losses = model.loss([image], [target])
        sum(v for k, v in losses.items() if k.startswith(("class_loss", "box_loss"))).backward()
        gradients.append(
            (model.backbone.conv1.weight.grad, model.box_heads.heads[1].fc7.weight.grad)
        )
    (scaled, head), (full, same_head) = gradients
    torch.testing.assert_close(scaled * 3, full, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(head, same_head)


def test_each_stage_is_given_the_boxes_of_the_one_before(image: Tensor) -> None:
    model = cascade().eval()
    with torch.no_grad():
        output = model([image])
    stages = output.box_heads.stages
    assert len(stages) == 3
    assert torch.equal(stages[0].boxes[0], output.proposals[0])
    for before, after in pairwise(stages):
        assert after.boxes[0] is before.refined[0]
        assert not torch.equal(before.boxes[0], before.refined[0])
    mean = torch.stack([s.logits.softmax(1) for s in stages]).mean(0)
    torch.testing.assert_close(output.box_heads.probabilities, mean)


def test_official_scores_come_from_the_last_input(image: Tensor) -> None:
    model = cascade("official").eval()
    with torch.no_grad():
        output = model([image])
        stages = output.box_heads.stages
        pooled = model.box_heads.pooler(output.pyramid, stages[-1].boxes)
        mean = torch.stack([h(pooled)[0].softmax(1) for h in model.box_heads.heads]).mean(0)
    torch.testing.assert_close(output.box_heads.probabilities, mean)
    assert not torch.allclose(mean, stages[0].logits.softmax(1))


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


def test_the_first_stage_learns_by_its_own_threshold(image: Tensor, target: Target) -> None:
    """By `stage_ious`, not by `foreground_iou`."""
    losses = []
    for options in ({}, {"foreground_iou": 0.95}, {"stage_ious": (0.2, 0.6, 0.7)}):
        torch.manual_seed(0)
        model = build_model("cascade_rcnn", some_categories(3), **options).eval()
        torch.manual_seed(1)
        losses.append(model.loss([image], [target])["box_loss_1"].item())
    assert losses[0] == losses[1] != losses[2]


def test_boxes_that_are_not_finite_are_refused_by_name() -> None:
    """A diverged first stage makes such boxes."""
    model = cascade().eval()
    torch.nn.init.constant_(model.box_heads.heads[0].bbox_pred.bias, float("nan"))
    with pytest.raises(SeglibError, match="needs finite boxes, row 0 is"):
        model.predict([torch.rand(3, 64, 96)])


def test_a_cascade_needs_one_value_of_each_per_stage() -> None:
    with pytest.raises(SeglibError, match=r"one value of each per stage.*4"):
        CascadeRCNNConfig(stage_ious=(0.5, 0.6, 0.7, 0.8))
