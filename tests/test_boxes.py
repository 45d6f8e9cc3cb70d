"""Box arithmetic: by hand, golden, against torchvision, degenerate boxes, conversions."""

from __future__ import annotations

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seglib import SeglibError, ops
from tests.helpers import golden
from tests.parity import assert_bodies_equal, assert_same

BODIES = ["naive", "scratch", "native"]


def random_boxes(count: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Boxes of 5 to 45 px in a field of 100 px."""
    numbers = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    corner, sides = numbers[:, :2] * 100, numbers[:, 2:] * 40 + 5
    return torch.cat([corner, corner + sides], dim=1)


@pytest.mark.parametrize("style", BODIES)
def test_iou_by_hand(style: str) -> None:
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0], [10.0, 10.0, 11.0, 11.0]])
    b = torch.tensor([[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0]])
    iou = getattr(ops.box_iou, style)(a, b)
    # Half of the first box is shared: 2 / (4 + 4 − 2); touching edges share nothing.
    assert_same(iou, torch.tensor([[1 / 3, 1.0, 0.0], [0.0, 0.0, 0.0]]), 1e-7)


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("case", ["basic", "normalized"])
def test_iou_golden(style: str, case: str) -> None:
    arrays = golden("box_iou")[case]
    a, b = (torch.from_numpy(arrays["in"][name]) for name in ("boxes1", "boxes2"))
    iou = getattr(ops.box_iou, style)(a, b)
    torch.testing.assert_close(iou, torch.from_numpy(arrays["out"]["iou"]), rtol=0, atol=1e-5)


def test_iou_bodies_equal_torchvision() -> None:
    a, b = random_boxes(12), random_boxes(9, seed=1)
    assert (torchvision.ops.box_iou(a, b) > 0).sum() >= 10
    assert_bodies_equal(ops.box_iou, torchvision.ops.box_iou, [a, b])


def test_iou_float32_smoke() -> None:
    a, b = random_boxes(6, dtype=torch.float32), random_boxes(5, seed=1, dtype=torch.float32)
    assert_bodies_equal(ops.box_iou, torchvision.ops.box_iou, [a, b], tolerance=1e-4)


@pytest.mark.parametrize("style", BODIES)
def test_iou_gradcheck(style: str) -> None:
    a, b = random_boxes(4).requires_grad_(), random_boxes(3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(getattr(ops.box_iou, style), (a, b))


@pytest.mark.parametrize("style", BODIES)
def test_iou_of_nothing(style: str) -> None:
    body, none, some = getattr(ops.box_iou, style), torch.zeros(0, 4), torch.zeros(2, 4)
    assert body(none, some).shape == (0, 2)
    assert body(some, none).shape == (2, 0)
    assert body(none, none).shape == (0, 0)


@pytest.mark.parametrize("style", BODIES)
def test_degenerate_boxes_overlap_nothing(style: str) -> None:
    point, line, inside_out = [3.0, 3, 3, 3], [1.0, 1, 1, 5], [5.0, 5, 2, 2]
    boxes = torch.tensor([point, line, inside_out], requires_grad=True)
    iou = getattr(ops.box_iou, style)(boxes, torch.tensor([[0.0, 0, 9, 9], point]))
    iou.sum().backward()
    assert not iou.any()
    assert torch.isfinite(boxes.grad).all()  # type: ignore[arg-type]
    assert ops.box_area(boxes).tolist() == [0.0, 0.0, 0.0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 20)] * 4), min_size=1, max_size=5))
def test_iou_invariants(corners: list[tuple[int, int, int, int]]) -> None:
    boxes = torch.tensor(corners, dtype=torch.float64)
    boxes = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)
    iou = ops.box_iou(boxes, boxes)
    assert torch.equal(iou, iou.T)
    assert ((iou >= 0) & (iou <= 1)).all()
    assert torch.equal(iou.diagonal(), (ops.box_area(boxes) > 0).double())
    for style in BODIES:
        assert torch.equal(getattr(ops.box_iou, style)(boxes, boxes), iou)


@pytest.mark.parametrize("style", BODIES)
def test_iou_refuses_other_shapes(style: str) -> None:
    with pytest.raises(SeglibError, match=r"\[2, 5\]"):
        getattr(ops.box_iou, style)(torch.zeros(1, 4), torch.zeros(2, 5))


def test_clip_boxes() -> None:
    boxes = torch.tensor([[-3.0, -1.0, 50.0, 9.0], [30.0, 40.0, 60.0, 70.0]])
    clipped = ops.clip_boxes(boxes, (10, 20))  # height 10, width 20
    assert clipped.tolist() == [[0.0, 0.0, 20.0, 9.0], [20.0, 10.0, 20.0, 10.0]]


def test_conversions() -> None:
    corners = torch.tensor([[1.0, 2.0, 5.0, 10.0]])
    assert ops.xyxy_to_xywh(corners).tolist() == [[1.0, 2.0, 4.0, 8.0]]
    assert ops.xyxy_to_cxcywh(corners).tolist() == [[3.0, 6.0, 4.0, 8.0]]
    boxes = random_boxes(10).reshape(2, 5, 4)
    assert_same(ops.xywh_to_xyxy(ops.xyxy_to_xywh(boxes)), boxes)
    assert_same(ops.cxcywh_to_xyxy(ops.xyxy_to_cxcywh(boxes)), boxes)


@pytest.mark.parametrize("style", BODIES)
def test_generalized_iou_by_hand(style: str) -> None:
    a = torch.tensor([[0.0, 0, 2, 2]]).double()
    b = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [4, 0, 6, 2]]).double()
    # Equal; half of either, hull all covered: 2 / 6; apart: hull 12, a third of it not covered.
    expected = torch.tensor([[1, 1 / 3, -1 / 3]]).double()
    giou = getattr(ops.generalized_box_iou, style)
    torch.testing.assert_close(giou(a, b), expected)
    points = torch.tensor([[1.0, 1, 1, 1]])
    assert giou(points, points).tolist() == [[0.0]]
    assert giou(torch.zeros(0, 4), torch.zeros(2, 4)).shape == (0, 2)
    assert giou(torch.zeros(3, 2, 4), torch.ones(3, 0, 4)).shape == (3, 2, 0)


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("case", ["basic", "normalized"])
def test_golden_generalized_iou(style: str, case: str) -> None:
    arrays = golden("box_iou")[case]
    a, b = (torch.from_numpy(arrays["in"][name]) for name in ("boxes1", "boxes2"))
    giou = getattr(ops.generalized_box_iou, style)(a, b)
    torch.testing.assert_close(giou, torch.from_numpy(arrays["out"]["giou"]), rtol=0, atol=1e-5)


def test_bodies_of_generalized_iou_equal_torchvision() -> None:
    reference = torchvision.ops.generalized_box_iou
    inputs = [random_boxes(6), random_boxes(5, seed=1)]
    assert_bodies_equal(ops.generalized_box_iou, reference, inputs)


def test_generalized_iou_refuses_other_shapes() -> None:
    with pytest.raises(SeglibError, match="equal leading dimensions"):
        ops.generalized_box_iou(torch.zeros(2, 3, 4), torch.zeros(3, 4))
