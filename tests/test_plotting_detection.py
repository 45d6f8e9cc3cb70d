"""Figures of boxes and of RoI pooling show the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle

from seglib.errors import SeglibError
from seglib.ops.roi_pool import roi_pool
from seglib.plotting import reading_curve, show_boxes, show_corrections, show_roi_reading
from seglib.plotting.rois import pooled_bins
from tests.figures import words

IMAGE = torch.linspace(0, 1, 3 * 32 * 48).reshape(3, 32, 48)
BOXES = torch.tensor([[4.0, 5, 20, 25], [10, 8, 40, 30]])


def corners(axes):
    boxes = [p.get_bbox().extents for p in axes.patches if isinstance(p, Rectangle)]
    groups = [c for c in axes.collections if isinstance(c, PolyCollection)]
    boxes += [path.get_extents().extents for group in groups for path in group.get_paths()]
    return [box.tolist() for box in boxes]


def test_boxes_have_their_coordinates_and_groups_keep_their_colour():
    panels = {"all": BOXES, "parts": {"object": BOXES[:1], "nothing": BOXES[1:]}}
    fig = show_boxes(IMAGE, panels, names={"object": ["dog"]}, caption="two")
    first, second = fig.axes[:2]
    assert corners(first) == BOXES.tolist()
    assert corners(second) == BOXES.tolist()
    solid, dashed = second.collections
    assert solid.get_edgecolor().tolist() != dashed.get_edgecolor().tolist()
    assert solid.get_linestyle()[0][1] is None
    assert dashed.get_linestyle()[0][1]  # the name of the group begins with "no"
    assert {"all", "parts", "object", "nothing", "dog", "two"} <= set(words(fig))
    assert (first.get_xlim(), first.get_ylim()) == ((0, 48), (32, 0))
    assert fig.png() == show_boxes(IMAGE, panels, names={"object": ["dog"]}, caption="two").png()


def test_boxes_of_another_shape_are_refused_and_an_empty_set_is_allowed():
    with pytest.raises(SeglibError, match=r"\[N, 4\]"):
        show_boxes(IMAGE, {"a": torch.zeros(3)})
    with pytest.raises(SeglibError, match="nothing to draw"):
        show_boxes(IMAGE, {})
    assert corners(show_boxes(IMAGE, {"empty": torch.zeros(0, 4)}).axes[0]) == []


def test_corrections_point_from_centre_to_centre():
    fig = show_corrections(IMAGE, BOXES[:1], BOXES[1:], BOXES)
    arrow = fig.axes[0].texts[0]
    assert arrow.xy == (25, 19)
    assert arrow.xyann == (12, 15)
    assert {"truth", "anchor", "corrected"} <= set(words(fig))
    lines = {line.get_label(): line.get_linestyle() for line in fig.legends[0].get_lines()}
    assert lines == {"truth": "-", "anchor": "--", "corrected": "-"}


def test_a_window_shows_a_part_of_the_image_and_shades_replace_colours():
    window = (8, 4, 40, 28)
    shades = {"object": "#ff0000"}
    (axes,) = show_boxes(IMAGE, {"a": {"object": BOXES}}, shades=shades, window=window).axes
    assert (axes.get_xlim(), axes.get_ylim()) == ((8, 40), (28, 4))
    assert corners(axes) == BOXES.tolist()
    assert axes.collections[0].get_edgecolor().tolist() == [[1, 0, 0, 1]]
    (axes,) = show_corrections(IMAGE, BOXES[:1], BOXES[1:], window=window).axes
    assert (axes.get_xlim(), axes.get_ylim()) == ((8, 40), (28, 4))


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("span", [(6.0, 26.0), (5.9, 21.0), (1.0, 30.5)])
def test_the_drawn_bins_are_those_that_roi_pool_reads(stride, span):
    first, end = pooled_bins(span, stride, bins=3)
    cells = torch.arange(64.0).expand(1, 1, 64, 64)
    roi = torch.tensor([[0, span[0], span[0], span[1], span[1]]])
    largest = roi_pool(cells, roi, 3, 1 / stride)[0, 0, 0]
    smallest = -roi_pool(-cells, roi, 3, 1 / stride)[0, 0, 0]
    assert smallest.tolist() == first
    assert (largest + 1).tolist() == end


def test_a_roi_reading_shows_the_box_the_rounded_box_and_the_samples():
    fig = show_roi_reading(IMAGE, [6.0, 6, 26, 22], stride=8, bins=2, samples=2)
    pooled, aligned = fig.axes
    # 6/8 → 1, 26/8 → 3, 22/8 → 3: cells 1…3, 24 pixels from pixel 8.
    assert [8, 8, 32, 32] in corners(pooled)
    assert [6, 6, 26, 22] in corners(pooled)
    # 1.5 cells per bin, rounded outwards to 2: neighbouring bins share a cell.
    assert [8, 8, 24, 24] in corners(pooled)
    assert [16, 16, 32, 32] in corners(pooled)
    assert corners(aligned) == [[6, 6, 26, 22]]
    dots = [line for line in aligned.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == [8.5, 13.5, 18.5, 23.5]
    assert list(dots[0].get_ydata()) == [8, 12, 16, 20]
    legend = {text.get_text() for text in fig.legends[0].get_texts()}
    assert legend == {"box", "what RoIPool reads", "sample point"}


def test_the_lines_between_cells_end_with_the_image():
    fig = show_roi_reading(IMAGE, [6.0, 6, 26, 22], stride=8)
    height, width = IMAGE.shape[1:]
    ends = [path.vertices for lines in fig.axes[0].collections for path in lines.get_paths()]
    every = np.concatenate(ends)
    assert every.min() == 0
    assert every.max(axis=0).tolist() == [width, height]


def test_reading_curve_draws_each_line_and_refuses_lines_of_another_length():
    x = torch.arange(4.0)
    axes = reading_curve(x, {"pool": x.round(), "align": x}, title="t").axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [
        "exact position",
        "pool",
        "align",
    ]
    assert np.array_equal(axes.lines[2].get_ydata(), x)
    exact, *methods = axes.lines
    assert all(exact.get_zorder() > line.get_zorder() for line in methods)
    with pytest.raises(SeglibError, match="'pool' has"):
        reading_curve(x, {"pool": torch.zeros(3)})
