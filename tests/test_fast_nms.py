"""Fast NMS: by hand, its three bodies, and how it differs from greedy NMS."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seglib import SeglibError, ops, use
from tests.test_nms import BODIES, crowded


@pytest.mark.parametrize("style", BODIES)
def test_a_suppressed_box_still_suppresses(style: str) -> None:
    # b overlaps a and c by 1/3 each; a and c only touch. Greedy NMS keeps c.
    boxes = torch.tensor([[2.0, 0, 6, 1], [0.0, 0, 4, 1], [4.0, 0, 8, 1]])
    scores = torch.tensor([0.8, 0.9, 0.7])
    assert getattr(ops.fast_nms, style)(boxes, scores, 0.3).tolist() == [1]
    assert getattr(ops.nms, style)(boxes, scores, 0.3).tolist() == [1, 2]


@pytest.mark.parametrize("style", BODIES)
def test_a_matrix_by_hand(style: str) -> None:
    # Ranked a, b, c, d. Overlaps above the diagonal: ab 1/3, bc 3/5, cd 1/7, all others 0.
    boxes = torch.tensor([[0.0, 0, 4, 1], [2.0, 0, 6, 1], [3.0, 0, 7, 1], [6.0, 0, 10, 1]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    suppress = getattr(ops.fast_nms, style)
    assert suppress(boxes, scores, 0.5).tolist() == [0, 1, 3]
    assert suppress(boxes, scores, 0.2).tolist() == [0, 3]
    assert suppress(boxes, scores, 0.1).tolist() == [0]
    assert suppress(boxes, scores, 0.7).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_overlap_equal_to_the_threshold_stays(style: str, dtype: torch.dtype) -> None:
    boxes = torch.tensor([[0, 0, 10, 1], [0, 0, 1, 1]], dtype=dtype)  # IoU 1/10
    scores = torch.tensor([0.9, 0.8], dtype=dtype)
    assert getattr(ops.fast_nms, style)(boxes, scores, 0.5).tolist() == [0, 1]
    kept = getattr(ops.fast_nms, style)(boxes, scores, 0.1).tolist()
    assert kept == getattr(ops.nms, style)(boxes, scores, 0.1).tolist()


@pytest.mark.parametrize("style", BODIES)
def test_empty_boxes_no_boxes_and_equal_scores(style: str) -> None:
    suppress = getattr(ops.fast_nms, style)
    assert suppress(torch.zeros(3, 4), torch.ones(3), 0.5).tolist() == [0, 1, 2]
    nothing = suppress(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert nothing.shape == (0,)
    assert nothing.dtype == torch.int64
    boxes = torch.tensor([[0.0, 0, 9, 9], [0.0, 0, 9, 9], [20.0, 0, 29, 9]])
    assert suppress(boxes, torch.ones(3), 0.5).tolist() == [0, 2]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([0.1, 0.3, 0.5, 0.7]))
def test_its_bodies_agree_and_keep_a_part_of_what_greedy_nms_keeps(
    count: int, seed: int, threshold: float
) -> None:
    boxes, scores = crowded(count, seed)
    kept = {s: getattr(ops.fast_nms, s)(boxes, scores, threshold).tolist() for s in BODIES}
    assert kept["naive"] == kept["scratch"] == kept["native"]
    assert set(kept["native"]) <= set(ops.nms(boxes, scores, threshold).tolist())


def test_blocks_change_nothing() -> None:
    boxes, scores = crowded(700, field=500)
    kept = ops.fast_nms(boxes, scores, 0.5)
    assert kept.tolist() == ops.fast_nms.scratch(boxes, scores, 0.5).tolist()
    greedy = ops.nms(boxes, scores, 0.5)
    assert set(kept.tolist()) < set(greedy.tolist())
    assert len(kept) > 0.9 * len(greedy)  # even in this crowd it removes little that greedy keeps


def test_greedy_nms_can_replace_it() -> None:
    boxes, scores = crowded(60)
    with use(fast_nms=ops.nms.native):
        assert torch.equal(ops.fast_nms(boxes, scores, 0.3), ops.nms(boxes, scores, 0.3))


@pytest.mark.parametrize("style", BODIES)
def test_refusals(style: str) -> None:
    suppress = getattr(ops.fast_nms, style)
    with pytest.raises(SeglibError, match=r"fast_nms needs boxes \[N, 4\] and scores \[N\]"):
        suppress(torch.zeros(3, 4), torch.zeros(2), 0.5)
    with pytest.raises(SeglibError, match="fast_nms needs finite boxes, row 1"):
        suppress(torch.tensor([[0.0, 0, 1, 1], [0, 0, torch.nan, 1]]), torch.ones(2), 0.5)
