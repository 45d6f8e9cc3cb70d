"""Patches are cut where the generator says, and labelled by what covers their centre."""

import torch

from seglib.data.patches import object_patches
from tests.modelling import boxes_target


def sample() -> tuple[torch.Tensor, object]:
    """An image whose pixels name their place, and one object that fills its left half."""
    image = torch.arange(12 * 12).float().reshape(1, 12, 12).expand(3, -1, -1)
    return image, boxes_target((12, 12), [[0, 0, 6, 12]], [1])


def test_a_patch_is_one_exactly_if_its_centre_lies_on_an_object():
    patches, labels = object_patches([sample()], size=5, count=40, seed=0)
    columns = patches[:, 0, 2, 2].long() % 12  # of each patch's centre
    assert patches.shape == (40, 3, 5, 5)
    assert torch.equal(labels, (columns < 6).long())
    assert 0 < labels.sum() < 40
    corners = patches[:, 0, :1, :1]
    assert torch.equal(patches[:, 0] - corners, sample()[0][:1, :5, :5].expand(40, -1, -1))


def test_the_seed_decides():
    first, again, other = (object_patches([sample()], 5, 8, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
