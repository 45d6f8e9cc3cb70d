"""Anchors: by hand, golden in both conventions, against torchvision, order and areas."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from seglib.nn.anchors import Anchors, cell_anchors, grid_anchors
from tests.helpers import golden
from tests.parity import assert_same

TOLERANCE = 1e-4  # px, of the golden vectors


def test_a_cell_by_hand() -> None:
    anchors = cell_anchors([8], [1.0, 4.0])
    assert anchors.tolist() == [[-4.0, -4.0, 4.0, 4.0], [-2.0, -8.0, 2.0, 8.0]]


def test_all_shapes_of_a_size_have_its_area() -> None:
    anchors = cell_anchors([32, 64], [0.5, 1.0, 2.0])
    sides = anchors[:, 2:] - anchors[:, :2]
    assert_same(sides.prod(1), torch.tensor([32.0**2] * 3 + [64.0**2] * 3), 1e-5)
    assert_same(sides[:, 1] / sides[:, 0], torch.tensor([0.5, 1.0, 2.0] * 2), 1e-5)
    assert_same(anchors[:, :2], -anchors[:, 2:])


def test_the_grid_runs_row_by_row() -> None:
    anchors = grid_anchors(torch.tensor([[-1.0, -2.0, 1.0, 2.0]]), (2, 3), (10, 20), 0.5)
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert centers.tolist() == [[10, 5], [30, 5], [50, 5], [10, 15], [30, 15], [50, 15]]


@pytest.mark.parametrize("case", ["fpn", "centered"])
def test_golden(case: str) -> None:
    par, out = golden("rpn_anchors")[case]["par"], golden("rpn_anchors")[case]["out"]
    sizes = tuple(tuple(level) for level in par["sizes"].tolist())
    shapes = [tuple(size) for size in par["feature_sizes"].tolist()]
    ratios, strides = tuple(par["ratios_h_over_w"].tolist()), par["strides"].tolist()
    levels = Anchors(sizes, ratios, float(par["offset"])).on(shapes, strides)
    for index, anchors in enumerate(levels):
        expected = torch.from_numpy(out[f"anchors_l{index}"])
        torch.testing.assert_close(anchors, expected, rtol=0, atol=TOLERANCE)
    if case == "fpn":
        levels = Anchors(sizes, ratios, rounded=True).on(shapes, strides)
        for index, anchors in enumerate(levels):
            expected = torch.from_numpy(out[f"anchors_rounded_l{index}"])
            torch.testing.assert_close(anchors, expected, rtol=0, atol=TOLERANCE)


def test_rounded_equals_torchvision_with_several_sizes() -> None:
    sizes, ratios = ((24, 37), (50, 75)), (0.4, 1.0, 2.3)
    shapes = [(8, 12), (4, 6)]
    reference = AnchorGenerator(sizes, (ratios,) * 2)
    images = ImageList(torch.zeros(1, 3, 64, 96), [(64, 96)])
    expected = reference(images, [torch.zeros(1, 1, *shape) for shape in shapes])[0]
    anchors = Anchors(sizes, ratios, rounded=True)
    assert torch.equal(torch.cat(anchors.on(shapes, [8, (16, 16)])), expected)
    assert anchors.per_cell == reference.num_anchors_per_location()


def test_a_wrong_number_of_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Anchors().on([(4, 4)], [8])
