"""Greedy NMS: by hand, golden, against torchvision, ties, overlaps equal to the threshold."""

from __future__ import annotations

import pytest
import torch
import torchvision
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from seglib import SeglibError, ops, use
from tests.helpers import golden

BODIES = ["naive", "scratch", "native"]


def crowded(count: int, seed: int = 0, field: float = 200) -> tuple[Tensor, Tensor]:
    """Random float64 boxes of 10 to 110 px and their scores."""
    numbers = torch.rand(
        count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    corner, sides = numbers[:, :2] * field, numbers[:, 2:4] * 100 + 10
    return torch.cat([corner, corner + sides], dim=1), numbers[:, 4]


@pytest.mark.parametrize("style", BODIES)
def test_a_suppressed_box_suppresses_nothing(style: str) -> None:
    # b overlaps a and c by 1/3 each; a and c only touch.
    boxes = torch.tensor([[2.0, 0, 6, 1], [0.0, 0, 4, 1], [4.0, 0, 8, 1]])
    scores = torch.tensor([0.8, 0.9, 0.7])
    assert getattr(ops.nms, style)(boxes, scores, 0.3).tolist() == [1, 2]


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_overlap_equal_to_the_threshold_stays(style: str, dtype: torch.dtype) -> None:
    boxes = torch.tensor([[0, 0, 4, 1], [0, 0, 2, 1]], dtype=dtype)  # IoU 1/2
    scores = torch.tensor([0.9, 0.8], dtype=dtype)
    assert getattr(ops.nms, style)(boxes, scores, 0.5).tolist() == [0, 1]
    assert getattr(ops.nms, style)(boxes, scores, 0.49).tolist() == [0]


@pytest.mark.parametrize("style", BODIES)
def test_equal_scores_keep_their_order(style: str) -> None:
    boxes = torch.tensor([[0.0, 0, 9, 9], [0.0, 0, 9, 9], [20.0, 0, 29, 9]])
    assert getattr(ops.nms, style)(boxes, torch.ones(3), 0.5).tolist() == [0, 2]


@pytest.mark.parametrize("style", BODIES)
def test_empty_boxes_and_no_boxes(style: str) -> None:
    body = getattr(ops.nms, style)
    assert body(torch.zeros(3, 4), torch.ones(3), 0.5).tolist() == [0, 1, 2]
    nothing = body(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert nothing.shape == (0,)
    assert nothing.dtype == torch.int64


@pytest.mark.parametrize("style", BODIES)
def test_golden(style: str) -> None:
    arrays = golden("nms_greedy")["basic"]
    boxes, scores, classes = (
        torch.from_numpy(arrays["in"][name]) for name in ("boxes", "scores", "classes")
    )
    threshold = float(arrays["par"]["iou_threshold"])
    with use(style):
        assert ops.nms(boxes, scores, threshold).tolist() == arrays["out"]["keep"].tolist()
        kept = ops.batched_nms(boxes, scores, classes, threshold)
    assert kept.tolist() == arrays["out"]["keep_per_class"].tolist()


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("field", [50, 400])
def test_bodies_equal_torchvision(threshold: float, field: float) -> None:
    boxes, scores = crowded(300, field=field)  # more than two of the native body's blocks
    expected = torchvision.ops.nms(boxes, scores, threshold)
    for style in ("scratch", "native"):
        assert torch.equal(getattr(ops.nms, style)(boxes, scores, threshold), expected)
    few = torchvision.ops.nms(boxes[:40], scores[:40], threshold)
    assert torch.equal(ops.nms.naive(boxes[:40], scores[:40], threshold), few)


def test_chain_longer_than_a_block() -> None:
    # Each box overlaps only its neighbours: every second one survives, across block borders.
    left = torch.arange(500.0) * 4
    boxes = torch.stack([left, torch.zeros(500), left + 9, torch.ones(500)], dim=1)
    scores = torch.linspace(1, 0, 500)
    assert ops.nms(boxes, scores, 0.3).tolist() == list(range(0, 500, 2))


@settings(max_examples=50, deadline=None)
@example(corners=[(1, 1, 1, 6), (1, 6, 1, 5)], threshold=0.1)  # an IoU of 1/10, rounded up
@given(
    corners=st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=1, max_size=12),
    threshold=st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.6, 0.7]),
)
def test_bodies_agree_on_small_integers(
    corners: list[tuple[int, int, int, int]], threshold: float
) -> None:
    numbers = torch.tensor(corners, dtype=torch.float32)
    boxes = torch.cat([numbers[:, :2], numbers[:, :2] + numbers[:, 2:]], dim=1)
    scores = numbers.sum(dim=1)  # many ties
    kept = ops.nms(boxes, scores, threshold)
    assert torch.equal(ops.nms.scratch(boxes, scores, threshold), kept)
    assert torch.equal(ops.nms.naive(boxes, scores, threshold), kept)
    assert torch.equal(torchvision.ops.nms(boxes, scores, threshold), kept)
    overlaps = ops.box_iou(boxes[kept], boxes[kept]).fill_diagonal_(0)
    assert (overlaps <= threshold).all()


def test_batched_equals_torchvision_and_keeps_classes_apart() -> None:
    boxes, scores = crowded(200)
    labels = torch.arange(200) % 5 + 1
    kept = ops.batched_nms(boxes, scores, labels, 0.4)
    assert torch.equal(kept, torchvision.ops.batched_nms(boxes, scores, labels, 0.4))
    same = torch.tensor([[0.0, 0, 9, 9]]).repeat(3, 1)
    kept = ops.batched_nms(same, torch.tensor([0.7, 0.9, 0.8]), torch.tensor([1, 2, 1]), 0.5)
    assert kept.tolist() == [1, 2]
    none = ops.batched_nms(same[:0], torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5)
    assert none.shape == (0,)


def test_batched_runs_the_student_s_nms() -> None:
    def keep_best(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
        return scores.argmax().reshape(1)

    boxes, scores = crowded(20, field=10_000)
    with use(nms=keep_best):
        kept = ops.batched_nms(boxes, scores, torch.arange(20) % 2, 0.5)
    assert len(kept) == 2


@pytest.mark.parametrize("style", BODIES)
def test_refuses_shapes_that_do_not_fit(style: str) -> None:
    with pytest.raises(SeglibError, match="nms needs"):
        getattr(ops.nms, style)(torch.zeros(2, 4), torch.zeros(3), 0.5)


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_refuses_boxes_that_are_not_finite(style: str, wrong: float) -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, wrong, 10], [0, 0, 10, 10]])
    with pytest.raises(SeglibError, match="nms needs finite boxes, row 1 is"):
        getattr(ops.nms, style)(boxes, torch.ones(3), 0.5)


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float16])
def test_other_dtypes_are_converted_to_float(style: str, dtype: torch.dtype) -> None:
    near = torch.tensor([[0, 0, 200, 200], [0, 1, 200, 201], [30, 0, 230, 200]])
    # Half precision cannot represent the area of a box of 400 px.
    boxes = near.to(dtype) * (1 if dtype == torch.uint8 else 2)
    scores = torch.tensor([0.8, 0.9, 0.7])
    assert getattr(ops.nms, style)(boxes, scores, 0.8).tolist() == [1, 2]


@pytest.mark.parametrize("style", BODIES)
def test_no_overlap_exceeds_a_threshold_of_nan(style: str) -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(3, 1)
    assert getattr(ops.nms, style)(boxes, torch.ones(3), float("nan")).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("scores", "labels"), [(3, 2), (2, 3), (3, 0)])
def test_batched_refuses_lengths_that_do_not_fit(scores: int, labels: int) -> None:
    with pytest.raises(SeglibError, match=r"3 boxes, \d scores and \d labels"):
        ops.batched_nms(torch.zeros(3, 4), torch.ones(scores), torch.ones(labels), 0.5)
