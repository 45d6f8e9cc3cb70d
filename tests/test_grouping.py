"""Graph segmentation and grouping: by hand, partitions, translation, proposals inside the image."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seglib import SeglibError
from seglib.models.rcnn.graph_segmentation import pixel_graph, segment_graph, smooth
from seglib.models.rcnn.grouping import merge_regions, propose_boxes, propose_regions
from seglib.models.rcnn.region_similarity import (
    Regions,
    neighbouring,
    region_boxes,
    region_histograms,
)
from seglib.ops.boxes import box_iou
from seglib.ops.masks import masks_to_boxes


def blocks(height: int = 24, width: int = 30, seed: int = 0) -> Tensor:
    """[3, H, W] of random colours in blocks of 6 px, with a little noise."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(3, height // 6, width // 6, generator=rng)
    fine = coarse.repeat_interleave(6, 1).repeat_interleave(6, 2)
    return (fine + 0.02 * torch.rand(fine.shape, generator=rng)).clamp(0, 1)


def test_the_pixel_graph_has_every_neighbour_once() -> None:
    image = torch.arange(6.0).view(1, 2, 3)
    edges, weights = pixel_graph(image)
    pairs = {frozenset(pair) for pair in edges.T.tolist()}
    # 4 to the right, 3 down, 2 + 2 on the diagonals.
    assert edges.shape == (2, 11)
    assert len(pairs) == 11
    assert frozenset({1, 3}) in pairs
    assert frozenset({2, 3}) not in pairs
    assert torch.equal(weights, (edges[0] - edges[1]).abs().float())


def test_smoothing_keeps_flat_images_and_the_mean_of_a_dot() -> None:
    flat = torch.full((3, 9, 9), 0.3, dtype=torch.float64)
    torch.testing.assert_close(smooth(flat, 0.8), flat)
    dot = torch.zeros(1, 15, 15, dtype=torch.float64)
    dot[0, 7, 7] = 1
    blurred = smooth(dot, 1.0)
    assert blurred.sum().item() == pytest.approx(1)
    assert torch.equal(blurred, blurred.mT)
    assert blurred[0, 7, 8] / blurred[0, 7, 7] == pytest.approx(torch.tensor(-0.5).exp().item())
    assert smooth(dot, 0) is dot


def test_two_halves_are_two_regions_unless_the_step_is_faint() -> None:
    image = torch.zeros(3, 8, 8)
    image[:, :, 4:] = 1
    expected = (torch.arange(8) >= 4).long().expand(8, 8)
    assert torch.equal(segment_graph(image, sigma=0, min_size=1), expected)
    # The bonus of a half is 100 / 32 px = 3.1; the step weighs √3 · 2 = 3.5, or 1.7 for half.
    image[:, :, 4:] = 2 / 255
    assert segment_graph(image, scale=100, sigma=0, min_size=1).max() == 1
    image[:, :, 4:] = 1 / 255
    assert segment_graph(image, scale=100, sigma=0, min_size=1).max() == 0


def test_small_regions_join_a_neighbour() -> None:
    image = torch.zeros(3, 9, 9)
    image[:, 4, 4] = 1
    assert (segment_graph(image, sigma=0, scale=1, min_size=1) == 1).sum() == 1
    assert segment_graph(image, sigma=0, scale=1, min_size=2).max() == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), scale=st.floats(1, 300), min_size=st.integers(1, 30))
def test_a_segmentation_is_a_partition(seed: int, scale: float, min_size: int) -> None:
    image = torch.rand(3, 9, 11, generator=torch.Generator().manual_seed(seed))
    segments = segment_graph(image, scale, min_size=min_size)
    assert segments.shape == (9, 11)
    sizes = segments.flatten().bincount()
    assert int(sizes.min()) >= min_size
    # Numbered in the order of first pixels, none left out.
    first = [segments.flatten().tolist().index(n) for n in range(len(sizes))]
    assert first == sorted(first)


def test_refuses_tensors_that_are_not_images() -> None:
    with pytest.raises(SeglibError, match=r"\[H, W\]|\[3, H, W\]"):
        segment_graph(torch.zeros(4, 4))
    with pytest.raises(SeglibError, match="uint8"):
        propose_boxes(torch.zeros(3, 8, 8, dtype=torch.uint8))


def test_regions_measured_by_hand() -> None:
    segments = torch.tensor([[0, 0, 1], [2, 0, 1]])
    assert region_boxes(segments).tolist() == [[0, 0, 2, 2], [2, 0, 3, 2], [0, 1, 1, 2]]
    assert neighbouring(segments).tolist() == [
        [False, True, True],
        [True, False, False],
        [True, False, False],
    ]
    values = torch.tensor([[[0.0, 0.4, 0.9], [0.6, 0.6, 1.0]]])
    expected = [[2 / 3, 1 / 3], [0, 1], [0, 1]]
    torch.testing.assert_close(region_histograms(values, segments, 2), torch.tensor(expected))


def test_likeness_by_hand() -> None:
    # Three regions in a row: two black, one white, without texture.
    image = torch.zeros(3, 2, 6)
    image[:, :, 4:] = 1
    segments = torch.tensor([[0, 0, 1, 1, 2, 2]]).expand(2, 6)
    regions = Regions.describe(image, segments)
    likeness = {
        name: list(regions.compare(0, [1, 2], (name,)).values())
        for name in ("color", "size", "fill")
    }
    assert likeness["color"] == pytest.approx([1, 0])
    assert likeness["size"] == pytest.approx([1 - 8 / 12] * 2)
    assert likeness["fill"] == pytest.approx([1, 1 - 4 / 12])  # the box of 0 and 2 spans 1


def test_a_merged_region_inherits_what_its_pixels_would_give() -> None:
    image, segments = blocks(), segment_graph(blocks(), min_size=4)
    regions = Regions.describe(image, segments)
    a, b = neighbouring(segments).nonzero()[0].tolist()
    regions.merge(a, b, regions.count)
    united = segments.clone()
    united[united == b] = a
    united = united.unique(return_inverse=True)[1]
    row = int(united[segments == a][0])
    again = Regions.describe(image, united)
    for name in ("color", "texture", "size", "boxes"):
        inherited, measured = getattr(regions, name)[regions.count], getattr(again, name)[row]
        np.testing.assert_allclose(inherited, measured, atol=1e-6)


def test_merging_ends_with_the_whole_image() -> None:
    image = blocks()
    segments = segment_graph(image, min_size=4)
    count = int(segments.max()) + 1
    assert count > 5
    merged = merge_regions(image, segments)
    assert merged.boxes.shape == (2 * count - 1, 4)
    assert merged.members[-1].all()
    assert merged.boxes[-1].tolist() == [0, 0, 30, 24]
    # Every region but the last is merged exactly once.
    assert sorted(merged.parents.flatten().tolist()) == list(range(2 * count - 2))
    for new, (a, b) in enumerate(merged.parents.tolist(), start=count):
        assert not (merged.members[a] & merged.members[b]).any()
        assert torch.equal(merged.members[new], merged.members[a] | merged.members[b])
    assert torch.equal(merged.boxes, masks_to_boxes(merged.members[:, segments]))


def test_the_most_similar_merge_first() -> None:
    # Two dark blocks and two light ones: first the similar ones merge, then the pairs.
    image = torch.zeros(3, 4, 16)
    image[:, :, 4:8], image[:, :, 8:12], image[:, :, 12:] = 0.01, 0.9, 0.91
    segments = (torch.arange(16) // 4).expand(4, 16)
    merged = merge_regions(image, segments, ("color",))
    assert {frozenset(p) for p in merged.parents[:2].tolist()} == {
        frozenset({0, 1}),
        frozenset({2, 3}),
    }
    assert all(later <= earlier for earlier, later in pairwise(merged.similarity.tolist()))


def test_one_region_needs_no_merging() -> None:
    merged = merge_regions(torch.zeros(3, 5, 7), torch.zeros(5, 7, dtype=torch.int64))
    assert merged.boxes.tolist() == [[0, 0, 7, 5]]
    assert merged.parents.shape == (0, 2)
    assert propose_boxes(torch.zeros(3, 5, 7)).tolist() == [[0, 0, 7, 5]]


def test_proposals_lie_inside_and_bound_their_masks() -> None:
    found = propose_regions(blocks(), min_size=4)
    assert len(found.boxes) > 10
    assert len(found.boxes.unique(dim=0)) == len(found.boxes)
    assert (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, 2:] <= torch.tensor([30.0, 24.0])).all()
    assert torch.equal(masks_to_boxes(found.masks), found.boxes)
    again = propose_regions(blocks(), min_size=4, max_proposals=5)
    assert torch.equal(again.boxes, found.boxes[:5])
    assert torch.equal(again.masks, found.masks[:5])


def test_an_object_on_plain_ground_moves_with_its_proposals() -> None:
    rng = torch.Generator().manual_seed(3)
    thing = 0.5 + 0.5 * torch.rand(3, 12, 15, generator=rng)

    def scene(x: int, y: int) -> Tensor:
        image = torch.full((3, 48, 48), 0.1)
        image[:, y : y + 12, x : x + 15] = thing
        return image

    here, there = (segment_graph(scene(x, y), sigma=0) for x, y in ((10, 8), (17, 21)))
    assert torch.equal(here[4:24, 6:29] > 0, there[17:37, 13:36] > 0)
    boxes = propose_boxes(scene(10, 8)), propose_boxes(scene(17, 21))
    for found, truth in zip(boxes, ([10.0, 8, 25, 20], [17.0, 21, 32, 33]), strict=True):
        assert box_iou(found, torch.tensor([truth])).max() > 0.9
