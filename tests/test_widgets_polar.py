"""The polar explorer measures rays from any place and shows the mask that they give."""

from __future__ import annotations

import torch

from seglib.widgets import PolarExplorer
from tests.explorers import check_every_control

IMAGE = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))


def two_objects() -> torch.Tensor:
    masks = torch.zeros(2, 40, 50, dtype=torch.bool)
    masks[0, 10:31, 10:31] = True  # a square with its middle at (20, 20)
    masks[1, 5:8, 5:45] = True
    return masks


def test_every_control_changes_the_numbers_and_the_picture() -> None:
    moves = {"object": "object 2", "across": 22, "down": 12, "rays": 8}
    check_every_control(PolarExplorer(IMAGE, two_objects()), moves)


def test_four_rays_of_a_square_by_hand() -> None:
    explorer = PolarExplorer(IMAGE, two_objects(), rays=4)
    values = explorer.values
    assert values["center"] == (20, 20)
    assert values["distances"].tolist() == [10, 10, 10, 10]
    assert values["centerness"] == 1
    # A square on its corner covers half of the square around it.
    assert 0.45 < values["iou"] < 0.55
    assert "4 rays from (20, 20)" in explorer.summary()
    assert explorer.set(rays=72)["iou"] > 0.95


def test_away_from_the_middle_the_centerness_falls() -> None:
    explorer = PolarExplorer(IMAGE, two_objects(), rays=4)
    assert explorer.set(down=25)["distances"].tolist() == [5, 10, 15, 10]
    assert explorer.values["centerness"] == torch.tensor(5 / 15).sqrt()


def test_outside_an_object_most_rays_meet_nothing() -> None:
    explorer = PolarExplorer(IMAGE, two_objects())
    values = explorer.set(across=45, down=38)
    assert (values["distances"] < 0.01).sum() > 18
    assert values["iou"] < 0.8
