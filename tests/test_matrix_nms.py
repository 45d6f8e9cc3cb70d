"""matrix_nms and points_nms: by hand, between their bodies, against the official vectors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from seglib import SeglibError, ops
from tests.helpers import golden
from tests.parity import assert_bodies_equal, assert_same, random

BODIES = ["naive", "scratch", "native"]


def some_detections(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Symmetric overlaps, scores and labels of two classes."""
    generator = torch.Generator().manual_seed(0)
    half = torch.rand(count, count, generator=generator, dtype=torch.float64).triu(1)
    ious = half + half.T + torch.eye(count)
    scores = torch.rand(count, generator=generator, dtype=torch.float64)
    return ious, scores, torch.randint(1, 3, (count,), generator=generator)


@pytest.mark.parametrize("style", BODIES)
def test_by_hand_a_suppressed_detection_suppresses_less(style: str) -> None:
    ious = torch.tensor([[1, 0.8, 0.3], [0.8, 1, 0.6], [0.3, 0.6, 1]], dtype=torch.float64)
    scores = torch.tensor([0.9, 0.8, 0.5], dtype=torch.float64)
    found = getattr(ops.matrix_nms, style)(ious, scores, torch.tensor([1, 1, 1]), "linear")
    # The second loses to the first: 1 − 0.8. To the third, the first says 1 − 0.3 = 0.7; the second
    # says (1 − 0.6) / (1 − 0.8) = 2, because it is probably a repetition itself.
    assert found.tolist() == pytest.approx([0.9, 0.8 * 0.2, 0.5 * 0.7])
    gaussian = getattr(ops.matrix_nms, style)(ious, scores, torch.tensor([1, 1, 1]), sigma=2.0)
    factors = [1, math.exp(-2 * 0.8**2), math.exp(-2 * 0.3**2)]
    assert gaussian.tolist() == pytest.approx(
        [s * f for s, f in zip(scores.tolist(), factors, strict=True)]
    )


@pytest.mark.parametrize("style", BODIES)
def test_classes_do_not_lower_one_another_and_order_does_not_matter(style: str) -> None:
    body = getattr(ops.matrix_nms, style)
    ious, scores, labels = some_detections(9)
    together = body(ious, scores, labels)
    for label in (1, 2):
        own = labels == label
        assert_same(together[own], body(ious[own][:, own], scores[own], labels[own]))
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    shuffled = body(ious[order][:, order], scores[order], labels[order])
    assert_same(shuffled, together[order])


@pytest.mark.parametrize("decay", ["gaussian", "linear"])
def test_bodies_agree(decay: str) -> None:
    ious, scores, labels = some_detections(12)
    naive = ops.matrix_nms.naive(ious, scores, labels, decay)
    assert_same(ops.matrix_nms.native(ious, scores, labels, decay), naive)
    assert (naive <= scores).all()


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("decay", ["gaussian", "linear"])
def test_three_equal_masks_keep_one_score(style: str, decay: str) -> None:
    scores = torch.tensor([0.7, 0.9, 0.8])
    found = getattr(ops.matrix_nms, style)(torch.ones(3, 3), scores, torch.ones(3).long(), decay)
    assert found[1] == scores[1]
    assert (found[[0, 2]] <= 0.8 * math.exp(-2) + 1e-6).all()


@pytest.mark.parametrize("style", BODIES)
def test_no_detections_give_no_scores(style: str) -> None:
    body = getattr(ops.matrix_nms, style)
    assert body(torch.zeros(0, 0), torch.zeros(0), torch.zeros(0).long()).shape == (0,)


@pytest.mark.parametrize("style", BODIES)
@pytest.mark.parametrize("decay", ["gaussian", "linear"])
def test_equals_the_official_vectors(style: str, decay: str) -> None:
    case = golden("solo_matrix_nms")["basic"]
    masks = torch.from_numpy(case["in"]["masks"]) > 0
    scores, labels = (torch.from_numpy(case["in"][name]) for name in ("scores", "labels"))
    found = getattr(ops.matrix_nms, style)(
        ops.mask_iou(masks, masks), scores, labels, decay, float(case["par"]["sigma"])
    )
    expected = {"gaussian": case["out"]["scores_gaussian"], "linear": case["out"]["scores_linear"]}
    torch.testing.assert_close(found, torch.from_numpy(expected[decay]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("style", BODIES)
def test_matrix_nms_refuses_what_does_not_fit(style: str) -> None:
    body = getattr(ops.matrix_nms, style)
    with pytest.raises(SeglibError, match=r"\[2, 3\]"):
        body(torch.zeros(2, 3), torch.zeros(2), torch.zeros(2).long())
    with pytest.raises(SeglibError, match="gaussian or linear"):
        body(torch.zeros(2, 2), torch.zeros(2), torch.zeros(2).long(), "square")


@pytest.mark.parametrize("style", BODIES)
def test_points_nms_by_hand(style: str) -> None:
    scores = torch.tensor([[0.5, 0.4, 0.4], [0.6, 0.3, 0.7], [0.2, 0.6, 0.8]])
    kept = getattr(ops.points_nms, style)(scores[None, None])[0, 0]
    # The middle 0.4 has 0.5 beside it, the right one a 0.4: equal scores stay. So does the lower
    # 0.6, with 0.3 above, 0.2 beside and 0.6 at the upper left.
    expected = torch.tensor([[0.5, 0, 0.4], [0.6, 0, 0.7], [0, 0.6, 0.8]])
    assert_same(kept, expected)


def test_points_nms_has_equal_bodies() -> None:
    scores = random(2, 3, 5, 6)
    assert_bodies_equal(ops.points_nms, ops.points_nms.native, [scores])


@pytest.mark.parametrize("style", BODIES)
def test_points_nms_equals_the_official_vectors(style: str) -> None:
    case = golden("solo_points_nms")["basic"]
    found = getattr(ops.points_nms, style)(torch.from_numpy(case["in"]["heat"]))
    assert torch.equal(found, torch.from_numpy(case["out"]["kept"]))


@pytest.mark.parametrize("style", BODIES)
def test_points_nms_refuses_other_shapes(style: str) -> None:
    with pytest.raises(SeglibError, match=r"\[3, 4\]"):
        getattr(ops.points_nms, style)(torch.zeros(3, 4))
