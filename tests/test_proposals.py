"""Proposals and detections: by hand, golden, against torchvision, limits, empty results."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import roi_heads, rpn
from torchvision.models.detection._utils import BoxCoder

from seglib import ops
from seglib.models.mask_rcnn.config import RPNRules
from seglib.models.mask_rcnn.rpn import RegionProposalNetwork, RPNOutput, select_proposals
from seglib.nn.anchors import Anchors
from tests.helpers import golden
from tests.parity import assert_same, random
from tests.test_boxes import random_boxes


def proposals_of(
    boxes: list[Tensor], logits: list[Tensor], size: tuple[int, int], **rules: object
) -> tuple[Tensor, Tensor]:
    """An RPN's proposals for one image whose anchors [n, 4] per level need no correction."""
    network = RegionProposalNetwork(4, Anchors(((8,),) * len(boxes)), RPNRules(**rules)).eval()
    nothing = [torch.zeros_like(level)[None] for level in boxes]
    (found,) = network.proposals(RPNOutput([one[None] for one in logits], nothing, boxes), [size])
    return found


def test_proposals_by_hand() -> None:
    big, near, other = [0.0, 0, 10, 10], [0.0, 0, 10, 9], [20.0, 0, 30, 10]
    outside = [50.0, 0, 60, 10]  # empty once clipped to 40 px
    boxes = torch.tensor([big, near, other, outside])
    kept, logits = select_proposals([boxes], [torch.tensor([1.0, 2.0, 0.0, 9.0])], (40, 40))
    assert kept.tolist() == [near, other]
    assert logits.tolist() == [2.0, 0.0]
    # On different levels boxes do not suppress one another.
    levels = [boxes[:1], boxes[1:]], [torch.tensor([1.0]), torch.tensor([2.0, 0.0, 9.0])]
    assert select_proposals(*levels, (40, 40))[0].tolist() == [near, big, other]
    assert select_proposals(*levels, (40, 40), count=1)[0].tolist() == [near]
    # If only the best box per level enters, the second level's is the one that becomes empty.
    kept, _ = proposals_of(*levels, (40, 40), before_nms=(9, 1))
    assert kept.tolist() == [big]


def test_only_the_best_anchors_are_decoded_and_they_are_the_best() -> None:
    rules = RPNRules(before_nms=(4, 4), after_nms=(4, 4), nms_iou=1.0)
    network = RegionProposalNetwork(4, Anchors(((8,),)), rules)
    low = random(6, 2, seed=1).abs() * 10
    anchors = torch.cat([low, low + 5], dim=1)
    output = RPNOutput([random(2, 6)], [random(2, 6, 4, seed=2) * 0.1], [anchors])
    for image, (boxes, logits) in enumerate(network.proposals(output, [(99, 99), (99, 99)])):
        best = output.logits[0][image].argsort(descending=True)[:4]
        decoded = ops.decode_deltas(anchors[best], output.deltas[0][image][best])
        assert_same(boxes, ops.clip_boxes(decoded, (99, 99)))
        assert_same(logits, output.logits[0][image][best])


def test_proposals_golden() -> None:
    arrays = golden("rpn_proposals")["basic"]
    par, given, out = arrays["par"], arrays["in"], arrays["out"]
    # float64, since decoding corrections of zero would round in float32.
    kept, scores = proposals_of(
        [torch.from_numpy(given[f"boxes_l{level}"][0]).double() for level in range(3)],
        [torch.from_numpy(given[f"logits_l{level}"][0]).double() for level in range(3)],
        (int(par["height"]), int(par["width"])),
        before_nms=(9, int(par["pre_nms_topk"])),
        after_nms=(9, int(par["post_nms_topk"])),
        nms_iou=float(par["nms_iou"]),
        min_size=float(par["min_size"]),
    )
    assert len(kept) == 20
    for actual, name in ((kept, "boxes_0"), (scores, "logits_0")):
        expected = torch.from_numpy(out[name]).double()
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_proposals_equal_torchvision() -> None:
    limits = {"training": 120, "testing": 120}
    network = rpn.RegionProposalNetwork(
        None, None, 0.7, 0.3, 256, 0.5, limits, {"training": 80, "testing": 80}, 0.7
    )
    boxes, logits = random_boxes(300) * 1.2 - 10, random(300)
    counts = [200, 70, 30]
    expected, probabilities = network.filter_proposals(
        boxes[None], logits[None], [(90, 100)], counts
    )
    kept, scores = proposals_of(
        list(boxes.split(counts)),
        list(logits.split(counts)),
        (90, 100),
        before_nms=(9, 120),
        after_nms=(9, 80),
        min_size=1e-3,
    )
    assert len(kept) == 80
    assert_same(kept, expected[0])
    assert_same(scores.sigmoid(), probabilities[0])


def test_proposals_carry_no_gradient_and_may_be_none() -> None:
    boxes, logits = random_boxes(5).requires_grad_(), random(5).requires_grad_()
    kept, scores = proposals_of([boxes], [logits], (200, 200))
    assert len(kept) > 0
    assert not scores.requires_grad
    kept, scores = proposals_of([boxes[:0]], [logits[:0]], (200, 200))
    assert kept.shape == (0, 4)
    assert scores.shape == (0,)


def test_detections_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 9], [-5.0, 0, 5, 50]])
    scores = torch.tensor([[0.6, 0.1], [0.5, 0.3], [0.02, 0.05]])
    found = ops.select_detections(boxes, scores, (40, 40))
    # Row 1 loses to row 0 in class 0 and wins in class 1; 0.05 is not above the threshold.
    assert found.rows.tolist() == [0, 1]
    assert found.classes.tolist() == [0, 1]
    assert_same(found.scores, torch.tensor([0.6, 0.3]))
    clipped = ops.select_detections(boxes, scores, (40, 40), score_threshold=0.04, iou_threshold=1)
    assert clipped.boxes[-1].tolist() == [0.0, 0.0, 5.0, 40.0]
    assert len(clipped.rows) == 5
    best = ops.select_detections(boxes, scores, (40, 40), max_detections=1)
    assert best.rows.tolist() == [0]


@pytest.mark.parametrize("case", ["agnostic", "specific"])
def test_detections_golden(case: str) -> None:
    arrays = golden("rcnn_inference")[case]
    par, out = arrays["par"], arrays["out"]
    boxes, probs = (torch.from_numpy(arrays["in"][name]) for name in ("boxes", "probs"))
    if case == "specific":
        boxes = boxes.reshape(len(boxes), -1, 4)
    found = ops.select_detections(
        boxes,
        probs[:, :-1],
        (int(par["height"]), int(par["width"])),
        float(par["score_thr"]),
        float(par["nms_iou"]),
        int(par["max_detections"]),
    )
    for actual, name in ((found.boxes, "boxes"), (found.scores, "scores")):
        torch.testing.assert_close(actual, torch.from_numpy(out[name]), rtol=0, atol=1e-5)
    assert found.classes.tolist() == out["classes"].tolist()
    assert found.rows.tolist() == out["row"].tolist()


def test_detections_equal_torchvision() -> None:
    weights = (10.0, 10.0, 5.0, 5.0)
    heads = roi_heads.RoIHeads(*(None, None, None, 0.5, 0.5, 512, 0.25, weights), 0.05, 0.5, 100)
    proposals, deltas, logits = random_boxes(150), random(150, 4, 4), random(150, 4) * 2
    boxes, scores, labels = heads.postprocess_detections(
        logits, deltas.flatten(1), [proposals], [(90, 100)]
    )
    decoded = ops.decode_deltas(proposals[:, None], deltas, weights)
    assert_same(decoded, BoxCoder(weights).decode(deltas.flatten(1), [proposals]))
    found = ops.select_detections(
        decoded[:, 1:], logits.softmax(1)[:, 1:], (90, 100), min_size=0.01
    )
    assert len(found.scores) >= 50
    assert_same(found.boxes, boxes[0])
    assert_same(found.scores, scores[0])
    assert torch.equal(found.classes + 1, labels[0])


def test_detections_may_be_none() -> None:
    empty: Tensor = torch.zeros(0, 4)
    found = ops.select_detections(empty, torch.zeros(0, 3), (9, 9), min_size=0.01)
    assert [len(part) for part in found] == [0, 0, 0, 0]
