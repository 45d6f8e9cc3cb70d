"""Level assignment: by hand, golden, against torchvision, empty boxes, scaled images."""

from __future__ import annotations

import torch
from torchvision.ops.poolers import LevelMapper

from seglib.models.mask_rcnn.pooler import assign_levels
from tests.helpers import golden
from tests.parity import random


def squares(*sides: float) -> torch.Tensor:
    return torch.tensor([[3.0, 5.0, 3.0 + side, 5.0 + side] for side in sides])


def test_by_hand() -> None:
    # Levels 2, 3, 4, 5 begin at sides 0, 112, 224, 448.
    levels = assign_levels(squares(10, 111, 112, 223, 224, 447, 448, 2000))
    assert levels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_golden() -> None:
    arrays = golden("fpn_level_assign")["basic"]
    settings = {name: int(value) for name, value in arrays["par"].items()}
    levels = assign_levels(torch.from_numpy(arrays["in"]["boxes"]), **settings)
    assert levels.tolist() == arrays["out"]["level_index"].tolist()
    assert len(levels.unique()) >= 3


def test_equals_torchvision() -> None:
    corner, sides = random(300, 2) * 50, torch.exp(random(300, 2, seed=1) * 1.5 + 5)
    boxes = torch.cat([corner, corner + sides], dim=1)
    levels = assign_levels(boxes)
    assert torch.equal(levels, LevelMapper(2, 5)([boxes]))
    assert len(levels.unique()) == 4


def test_the_canonical_size_scales_with_the_image() -> None:
    boxes = squares(20, 112, 230, 460)
    small = assign_levels(boxes / 5, canonical_size=224 / 5)
    assert torch.equal(small, assign_levels(boxes))


def test_empty_boxes_and_no_boxes() -> None:
    assert assign_levels(squares(0)).tolist() == [0]
    assert assign_levels(torch.tensor([[5.0, 5.0, 2.0, 2.0]])).tolist() == [0]
    assert assign_levels(torch.zeros(0, 4)).shape == (0,)
