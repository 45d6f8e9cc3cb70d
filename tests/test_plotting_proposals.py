"""Figures of windows and proposals show the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from seglib.errors import SeglibError
from seglib.models.deepmask.windows import sliding_windows
from seglib.plotting import (
    show_average_recall,
    show_coverage,
    show_patches,
    show_window,
    show_window_labels,
    show_window_scores,
)
from seglib.plotting.style import BLUE, GREEN, GREY, ORANGE, PURPLE
from seglib.plotting.window_grids import map_extent
from seglib.structures import Instances, Target
from tests.modelling import boxes_target

IMAGE = torch.linspace(0, 1, 3 * 32 * 48).reshape(3, 32, 48)


def target() -> Target:
    boxes = [[4, 4, 20, 12], [24, 16, 44, 28], [0, 0, 48, 32]]
    return boxes_target((32, 48), boxes, [1, 2, 1], iscrowd=[False, False, True])


def frames(axes, shade):
    return [
        (p.get_x(), p.get_y(), p.get_x() + p.get_width(), p.get_y() + p.get_height())
        for p in axes.patches
        if not p.get_fill() and to_hex(p.get_edgecolor()) == shade.lower()
    ]


def test_a_window_may_reach_beyond_its_image():
    fig = show_window(IMAGE, (-8, 2, 24, 34), {"patch": IMAGE}, box=(4, 4, 20, 12))
    axes = fig.axes[0]
    assert frames(axes, BLUE) == [(-8, 2, 24, 34)]
    assert frames(axes, ORANGE) == [(4, 4, 20, 12)]
    assert axes.get_xlim()[0] < -8
    assert axes.get_ylim()[0] > 34
    crosses = [line.get_xydata().tolist() for line in axes.lines]
    assert crosses == [[[8, 18]], [[8, 18]]]
    assert [a.get_title() for a in fig.axes] == ["Window", "patch"]


def test_a_mask_is_painted_over_the_image():
    plain = show_window(IMAGE, (0, 0, 32, 32), {"patch": IMAGE}).pixels()
    painted = show_window(IMAGE, (0, 0, 32, 32), {"patch": IMAGE}, mask=target().masks[1]).pixels()
    assert (plain != painted).any()


def test_each_window_centre_has_the_colour_of_its_label():
    windows = sliding_windows((32, 48), (32, 48), 16, 16)  # [3, 4, 4]
    labels = torch.full((3, 4), -1)
    labels[1, 2], labels[1, 1] = 1, 0
    fig = show_window_labels(IMAGE, {"1": (windows, labels)}, (24.0, 10, 40, 22))
    drawn = {to_hex(line.get_color()): line.get_xydata() for line in fig.axes[0].lines}
    assert drawn[GREEN.lower()].tolist() == [[32, 16]]
    assert drawn[PURPLE.lower()].tolist() == [[16, 16]]
    assert len(drawn[GREY.lower()]) == 10
    assert "1 positive of 12" in fig.axes[0].get_title()


@pytest.mark.parametrize(
    ("box", "corner"), [((24.0, 10, 40, 22), (24, 8)), ((40.0, 0, 48, 4), (36, -6))]
)
def test_the_dashed_square_has_the_size_of_a_window_and_the_object_in_its_middle(box, corner):
    windows = sliding_windows((32, 48), (32, 48), 16, 16)
    axes = show_window_labels(IMAGE, {"1": (windows, -torch.ones(3, 4))}, box).axes[0]
    (dashed,) = [patch for patch in axes.patches if patch.get_linestyle() == "--"]
    assert dashed.get_xy() == corner
    assert (dashed.get_width(), dashed.get_height()) == (16, 16)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert max(left - corner[0], top - corner[1]) <= 0
    assert min(right - corner[0], bottom - corner[1]) >= 16


def test_patches_show_their_masks_and_need_one_each():
    patches, masks = torch.full((2, 3, 16, 16), 0.5), torch.zeros(2, 4, 4)
    masks[1, :, :2] = 1
    fig = show_patches(patches, masks, ["-1", "+1"])
    bare, painted = (axes.images[0].get_array() for axes in fig.axes)
    assert (bare == 128).all()
    half = painted.shape[1] // 2
    assert (painted[:, : half - 4] != 128).any(-1).all()
    assert (painted[:, half + 4 :] == 128).all()
    with pytest.raises(SeglibError, match="2 patches, but 1 masks"):
        show_patches(patches, masks[:1])


def test_scores_are_centred_on_their_windows():
    windows = sliding_windows((32, 48), (16, 24), 8, 4)  # resized to half: centres 8 px apart
    left, right, bottom, top = map_extent(windows.numpy())
    assert (left, top) == (-4, -4)
    assert (right, bottom) == (48 + 4, 32 + 4)
    scores = torch.rand(windows.shape[:2], generator=torch.Generator().manual_seed(0))
    fig = show_window_scores(IMAGE, {"half": (windows, scores)}, target().boxes)
    np.testing.assert_allclose(fig.axes[0].images[1].get_array(), scores)
    assert fig.axes[0].get_title() == "half: 16 px windows"


def test_the_map_of_a_single_window_has_its_extent():
    assert map_extent(np.array([[[0.0, 0, 8, 8]]])) == (0, 8, 8, 0)


def test_coverage_counts_the_objects_that_the_first_proposals_fit():
    truth = target()
    masks = torch.stack([truth.masks[0], truth.masks[0], truth.masks[1]])
    found = Instances(truth.boxes[[0, 0, 1]], torch.tensor([0.9, 0.8, 0.7]), torch.ones(3), masks)
    fig = show_coverage(IMAGE, found, truth, (2, 3))
    titles = [axes.get_title() for axes in fig.axes]
    assert titles == ["Best 2: 1 of 2 objects", "Best 3: 2 of 2 objects"]
    with pytest.raises(SeglibError, match="masks"):
        show_coverage(IMAGE, Instances(found.boxes, found.scores, found.labels), truth)


def test_recall_is_drawn_over_the_number_of_proposals():
    fig = show_average_recall({"a": {10: 0.1, 100: 0.4}, "ceiling": {100: 0.9, 10: 0.8}})
    first, second = fig.axes[0].lines
    assert first.get_xydata().tolist() == [[10, 0.1], [100, 0.4]]
    assert second.get_ydata().tolist() == [0.8, 0.9]
    assert to_rgb(first.get_color()) != to_rgb(second.get_color())
    assert fig.axes[0].get_xscale() == "log"
