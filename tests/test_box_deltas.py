"""Box deltas: by hand, golden, encoded and decoded, per class, against torchvision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder

from seglib import ops
from tests.helpers import golden
from tests.parity import assert_equal_runs, assert_same, random
from tests.test_boxes import random_boxes

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def test_by_hand() -> None:
    box, target = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 0, 25, 20]])
    # The centre moves by 10 px, one width; the width doubles.
    deltas = ops.encode_deltas(box, target)
    assert_same(deltas, torch.tensor([[1.0, 0.0, math.log(2), 0.0]]), 1e-6)
    assert_same(ops.encode_deltas(box, target, WEIGHTS), deltas * torch.tensor(WEIGHTS), 1e-6)
    assert_same(ops.decode_deltas(box, deltas), target, 1e-6)


@pytest.mark.parametrize("case", ["rpn", "roi", "cascade2", "cascade3"])
def test_golden(case: str) -> None:
    arrays = golden("box_delta_coder")[case]
    inputs = {name: torch.from_numpy(array) for name, array in arrays["in"].items()}
    weights = tuple(arrays["par"]["weights"].tolist())
    out = {name: torch.from_numpy(array) for name, array in arrays["out"].items()}
    encoded = ops.encode_deltas(inputs["src_boxes"], inputs["target_boxes"], weights)
    # Near zero the recorded float32 differences of coordinates are themselves off by 2e-6.
    torch.testing.assert_close(encoded, out["encoded"], rtol=1e-4, atol=5e-6)
    decoded = ops.decode_deltas(inputs["src_boxes"], inputs["deltas"], weights)
    torch.testing.assert_close(decoded, out["decoded"], rtol=1e-4, atol=0)


def test_equals_torchvision() -> None:
    coder = BoxCoder(WEIGHTS)
    boxes, targets, deltas = random_boxes(30), random_boxes(30, seed=1), random(30, 4) * 8
    deltas[0, 2:] = 30  # beyond the clamp
    assert_equal_runs(
        lambda box, target: ops.encode_deltas(box, target, WEIGHTS),
        lambda box, target: coder.encode_single(target, box),
        [boxes, targets],
    )
    assert_equal_runs(
        lambda d: ops.decode_deltas(boxes, d, WEIGHTS),
        lambda d: coder.decode_single(d, boxes),
        [deltas],
    )


def test_a_wild_prediction_stays_finite() -> None:
    box = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    sides = ops.xyxy_to_xywh(ops.decode_deltas(box, torch.full((1, 4), 1e4)))[0, 2:]
    assert_same(sides, torch.tensor([1000.0, 1000.0]), 1e-2)


def test_deltas_per_class() -> None:
    boxes, deltas = random_boxes(5), random(5, 3, 4)
    decoded = ops.decode_deltas(boxes[:, None], deltas, WEIGHTS)
    assert decoded.shape == (5, 3, 4)
    for label in range(3):
        assert_same(decoded[:, label], ops.decode_deltas(boxes, deltas[:, label], WEIGHTS))


def test_no_boxes() -> None:
    none = torch.zeros(0, 4)
    assert ops.encode_deltas(none, none).shape == (0, 4)
    assert ops.decode_deltas(none, none).shape == (0, 4)


@settings(max_examples=50, deadline=None)
@given(numbers=st.lists(st.floats(1, 60), min_size=8, max_size=8))
def test_decode_undoes_encode(numbers: list[float]) -> None:
    pairs = torch.tensor(numbers, dtype=torch.float64).reshape(2, 4)
    boxes = ops.xywh_to_xyxy(pairs)
    deltas = ops.encode_deltas(boxes[:1], boxes[1:], WEIGHTS)
    assert_same(ops.decode_deltas(boxes[:1], deltas, WEIGHTS), boxes[1:])


def test_a_box_without_sides_has_no_correction_and_does_not_affect_others() -> None:
    boxes = torch.tensor([[5.0, 5, 5, 5], [0, 0, 10, 20]])
    targets = torch.tensor([[0.0, 0, 10, 10], [5, 0, 25, 20]])
    deltas = ops.encode_deltas(boxes, targets)
    assert not deltas[0].isfinite().any()
    assert torch.equal(deltas[1:], ops.encode_deltas(boxes[1:], targets[1:]))
