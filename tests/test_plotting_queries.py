"""Figures of queries and of all paradigms show the numbers and colours that they are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seglib.errors import SeglibError
from seglib.plotting import (
    compare,
    show_paradigms,
    show_points,
    show_query,
    show_query_masks,
)
from seglib.plotting.matched import matched_shades
from seglib.plotting.overlays import NEUTRAL
from seglib.plotting.style import rgb
from seglib.structures import Categories, Instances, Panoptic, Prediction, Target
from tests.figures import words

IMAGE = torch.linspace(0, 1, 3 * 32 * 48).reshape(3, 32, 48)
NAMES = Categories.from_coco(
    [{"id": 1, "name": "cat"}, {"id": 2, "name": "sky-other-merged", "isthing": 0}]
)


def block(y0: int, y1: int, x0: int, x1: int) -> torch.Tensor:
    mask = torch.zeros(32, 48, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


def target(panoptic: bool = True) -> Target:
    """Two cats under a sky."""
    masks = torch.stack([block(16, 32, 0, 20), block(16, 32, 20, 40)])
    boxes = torch.tensor([[0.0, 16, 20, 32], [20, 16, 40, 32]])
    semantic = torch.where(masks.any(0), 1, 2)
    segments = Panoptic(
        masks[0] + 2 * masks[1] + 3 * (semantic == 2),
        torch.tensor([1, 2, 3]),
        torch.tensor([1, 1, 2]),
        torch.zeros(3, dtype=torch.bool),
    )
    crowd = torch.zeros(2, dtype=torch.bool)
    labels, area = torch.tensor([1, 1]), torch.tensor([320.0, 320.0])
    known = segments if panoptic else None
    return Target(boxes, labels, masks, crowd, area, (32, 48), 7, semantic, known)


def test_each_mask_has_its_panel() -> None:
    masks = torch.zeros(2, 16, 24)
    masks[1, 3, 5] = 0.75
    fig = show_query_masks(IMAGE, masks, ["one", "two"])
    assert [axes.get_title() for axes in fig.axes] == ["one", "two"]
    shown = fig.axes[1].images[1]
    assert np.asarray(shown.get_array())[3, 5] == 0.75
    assert shown.get_extent() == [0, 48, 32, 0]  # over the whole image


def test_bars_have_the_order_and_the_length_of_the_classes() -> None:
    mask = torch.zeros(32, 48)
    fig = show_query(IMAGE, mask, {"cat": 0.75, "no object": 0.25}, mask + 0.5)
    bars = fig.axes[1].patches
    assert [bar.get_width() for bar in bars] == [0.75, 0.25]
    assert bars[0].get_facecolor() != bars[1].get_facecolor()
    assert fig.axes[1].yaxis_inverted()
    fig.pixels()  # names of bars are written when a figure is laid out
    assert {"its mask", "its classes", "its share of the label map", "cat"} <= set(words(fig))


def test_points_lie_at_their_share_of_the_image() -> None:
    points = torch.tensor([[0.5, 0.25], [1.0, 1.0]])  # x, y
    fig = show_points(IMAGE, torch.zeros(8, 12), {"two points": points})
    places = fig.axes[0].collections[0].get_offsets()
    assert np.allclose(places, [[24, 8], [48, 32]])


def test_a_detection_has_the_colour_of_the_object_that_it_overlaps() -> None:
    masks = torch.stack([block(16, 32, 22, 40), block(17, 32, 0, 20), block(0, 8, 0, 8)])
    boxes = torch.zeros(3, 4)
    found = Instances(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([1, 1, 1]), masks)
    assert matched_shades(found, target()) == {0: rgb(1), 1: rgb(0), 2: NEUTRAL}
    assert matched_shades(found[:0], target()) == {}
    assert matched_shades(found, target()[:0]) == dict.fromkeys(range(3), NEUTRAL)


def test_compared_results_share_the_colours_of_the_truth() -> None:
    truth = target()
    found = Instances(truth.boxes, torch.tensor([0.9, 0.8]), truth.labels, truth.masks)
    results = {"found": found, "reversed": found[torch.tensor([1, 0])]}
    fig = compare(IMAGE, results, NAMES, like=truth)
    one, other = (np.asarray(axes.images[0].get_array()) for axes in fig.axes[1:3])
    height, width = one.shape[:2]
    for mask in truth.masks:
        row, column = mask.nonzero().float().mean(dim=0).tolist()
        place = (int(row / 32 * height), int(column / 48 * width))
        assert (one[place] == other[place]).all()


def test_stuff_keeps_the_colour_of_its_class() -> None:
    segments = target().panoptic
    assert segments is not None
    assert matched_shades(segments, target()) == {0: rgb(0), 1: rgb(1)}


@pytest.mark.parametrize("panoptic", [True, False])
def test_paradigms_are_shown_between_image_and_truth(panoptic: bool) -> None:
    truth = target(panoptic)
    found = Instances(truth.boxes, torch.tensor([0.9, 0.1]), truth.labels, truth.masks)
    answers = {
        "labels": Prediction((32, 48), NAMES, semantic=truth.semantic),
        "objects": Prediction((32, 48), NAMES, instances=found),
        "proposals": Prediction((32, 48), NAMES, proposals=found),
        "segments": Prediction((32, 48), NAMES, panoptic=target().panoptic),
    }
    fig = show_paradigms(IMAGE, answers, truth, NAMES)
    shown = [axes.get_title() for axes in fig.axes if axes.get_title()]
    assert shown == ["Image", *answers, "Truth"]
    image, objects, proposals = (
        np.asarray(fig.axes[n].images[0].get_array()).astype(int) for n in (0, 2, 3)
    )
    assert objects.shape == proposals.shape
    # The second object's score is below one half: only a proposal may be so unsure.
    height, width = objects.shape[:2]
    place = (int(0.75 * height), int(0.7 * width))
    assert (objects[place] != proposals[place]).any()
    assert image.shape == (32, 48, 3)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(SeglibError, match="nothing to draw"):
        show_query_masks(IMAGE, torch.zeros(0, 8, 8))
    with pytest.raises(SeglibError, match="nothing to draw"):
        show_query(IMAGE, torch.zeros(8, 8), {}, torch.zeros(8, 8))
    with pytest.raises(SeglibError, match="nothing to draw"):
        show_points(IMAGE, torch.zeros(8, 8), {})
