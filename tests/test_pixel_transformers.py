"""Transformers in MaskFormer's pixel decoders: deformable attention by hand, and both variants."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seglib.models.maskformer import MaskFormer, MaskFormerConfig
from seglib.models.maskformer.deformable import (
    DeformableAttention,
    cell_centres,
    read_at_points,
)
from seglib.structures import Target
from tests.modelling import boxes_target, randomize_zeros, some_categories
from tests.parity import assert_same, random

SIZE = (64, 80)


def tiny(variant: str, **changes: object) -> MaskFormer:
    """The pocket preset with fewer channels, and one layer in the pixel decoder."""
    torch.manual_seed(0)
    small = {"blocks": (1, 1, 1, 1), "width": 16, "channels": 32, "hidden": 32, "queries": 6}
    small |= {"decoder_layers": 3, "pixel_layers": 1, "pixel_hidden": 24}
    config = replace(MaskFormerConfig.pocket(variant), **small, **changes)
    return MaskFormer(config, some_categories(3))


def scene() -> Target:
    target = boxes_target(SIZE, [(8, 8, 40, 40)], [2])
    target.semantic = torch.where(target.masks[0], 2, 0)
    return target


def test_a_query_interpolates_between_pixels_and_reads_zero_outside() -> None:
    values = torch.tensor([1.0, 3, 5]).view(1, 1, 1, 1, 3)  # one image, head, channel and row
    at = [(1 / 6, 0.5), (2 / 6, 0.5), (3 / 6, 0.5), (9.0, 0.5)]
    points = torch.tensor(at).view(1, 4, 1, 1, 1, 2)
    found = read_at_points([values], points, torch.ones(1, 4, 1, 1, 1))
    assert found.flatten().tolist() == pytest.approx([1, 2, 3, 0], abs=1e-5)
    two = points[:, :2].transpose(1, 4)  # one query with two points
    shares = torch.tensor([0.25, 0.75]).view(1, 1, 1, 1, 2)
    assert read_at_points([values], two, shares).item() == pytest.approx(0.25 * 1 + 0.75 * 2)


def test_heads_and_levels_read_their_own_maps() -> None:
    maps = [random(2, 3, 4, 5, 6, seed=1), random(2, 3, 4, 2, 3, seed=2)]
    points = torch.rand(2, 7, 3, 2, 4, 2, dtype=torch.float64) * 1.4 - 0.2
    weights = random(2, 7, 3, 2, 4, seed=3).softmax(-1)
    expected = torch.zeros(2, 7, 3, 4, dtype=torch.float64)
    for image, query, head, level, point in torch.cartesian_prod(
        *map(torch.arange, weights.shape)
    ).tolist():
        x, y = points[image, query, head, level, point].tolist()
        value = bilinear(maps[level][image, head], x, y)
        expected[image, query, head] += weights[image, query, head, level, point] * value
    assert_same(read_at_points(maps, points, weights), expected.flatten(2))


def bilinear(values: Tensor, x: float, y: float) -> Tensor:
    """The value [d] of a map [d, H, W] at a place in 0…1."""
    _, height, width = values.shape
    column, row = x * width - 0.5, y * height - 0.5
    left, top = int(column // 1), int(row // 1)
    found = torch.zeros(len(values), dtype=values.dtype)
    for r, c in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= r < height and 0 <= c < width:
            found += (1 - abs(row - r)) * (1 - abs(column - c)) * values[:, r, c]
    return found


def test_cells_have_their_centres_row_by_row() -> None:
    found = cell_centres((2, 4), torch.zeros(1))
    assert found[:5].tolist() == [[0.125, 0.25], [0.375, 0.25], [0.625, 0.25], [0.875, 0.25],
                                  [0.125, 0.75]]  # fmt: skip


def test_initially_each_head_has_its_own_direction() -> None:
    layer = DeformableAttention(8, heads=4, levels=2, points=3)
    offsets = layer.sampling_offsets.bias.view(4, 2, 3, 2)
    ways = [[1, 0], [0, 1], [-1, 0], [0, -1]]
    torch.testing.assert_close(offsets[:, 0, 0], torch.tensor(ways).float(), rtol=0, atol=1e-6)
    torch.testing.assert_close(offsets[:, 1, 2], 3 * offsets[:, 0, 0])
    assert not layer.attention_weights.bias.any()


def test_gradients_reach_points_weights_and_values() -> None:
    values = random(1, 2, 3, 3, 4, seed=4).requires_grad_()
    points = (torch.rand(1, 2, 2, 1, 2, 2, dtype=torch.float64) * 0.6 + 0.2).requires_grad_()
    weights = random(1, 2, 2, 1, 2, seed=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: read_at_points([x[0]], *x[1:]), (
        values, points, weights))  # fmt: skip


@pytest.mark.parametrize("variant", ["maskformer", "mask2former"])
def test_every_weight_learns_and_predictions_do_not_depend_on_the_batch(variant: str) -> None:
    model = tiny(variant)
    losses = model.loss([torch.rand(3, *SIZE)] * 2, [scene(), scene()])
    torch.stack(list(losses.values())).sum().backward()
    assert all(value.isfinite() for value in losses.values())
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    randomize_zeros(model)
    image, other, larger = torch.rand(3, 50, 70), torch.rand(3, 50, 70), torch.rand(3, 90, 80)
    alone = model.predict([image])[0].instances
    together = model.predict([larger, other, image])[2].instances
    torch.testing.assert_close(together.scores, alone.scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "changes", "millions"),
    [("maskformer", {}, 41), ("maskformer", {"pixel_layers": 6}, 45), ("mask2former", {}, 44)],
)
def test_the_published_networks_have_their_published_size(
    variant: str, changes: dict[str, int], millions: int
) -> None:
    """Of ResNet-50, in millions of parameters, as in the papers' tables."""
    config = replace(MaskFormerConfig.paper(variant), **changes)
    with torch.device("meta"):
        model = MaskFormer(config, some_categories(133))
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == millions
