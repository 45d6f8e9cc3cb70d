"""Accuracy against cost and training time: points lie where their numbers say, the best joined."""

from __future__ import annotations

from matplotlib.colors import to_hex

from seglib import plotting
from seglib.comparison import TITLES
from seglib.plotting.network_colors import NETWORK_COLORS, network_colors
from seglib.plotting.tradeoffs import frontier
from seglib.pretrained.curves import LearningCurve


def test_the_frontier_leaves_out_points_that_a_cheaper_one_equals():
    points = [(3.0, 0.5), (1.0, 0.2), (2.0, 0.6), (4.0, 0.6), (2.0, 0.1)]
    assert frontier(points) == [(1.0, 0.2), (2.0, 0.6)]


def test_each_name_is_written_at_its_point():
    fig = plotting.tradeoff({"slow": (40.0, 0.5), "fast": (10.0, 0.4), "worse": (40.0, 0.3)})
    axes = fig.axes[0]
    places = {one.get_label(): one.get_offsets().tolist() for one in axes.collections}
    assert places == {"slow": [[40.0, 0.5]], "fast": [[10.0, 0.4]], "worse": [[40.0, 0.3]]}
    assert axes.lines[0].get_xydata().tolist() == [[10.0, 0.4], [40.0, 0.5]]
    assert axes.get_ylim()[1] > 0.5


def test_learning_curves_have_a_point_for_each_validation():
    figures = {"mask_AP": [0.0, 0.1], "box_AP": [0.1, 0.3]}
    fig = plotting.show_learning({"one": LearningCurve("train", [1.0, 2.5], [16, 32], figures)})
    boxes, masks = fig.axes
    assert (boxes.get_title(), masks.get_title()) == ("box AP", "mask AP")
    assert boxes.lines[0].get_xydata().tolist() == [[1.0, 0.1], [2.5, 0.3]]
    assert masks.lines[0].get_xydata().tolist() == [[1.0, 0.0], [2.5, 0.1]]


def test_a_paradigm_has_one_colour_in_all_figures_and_under_both_of_its_names():
    curve = LearningCurve("train", [1.0], [16], {"mask_AP": [0.1], "box_AP": [0.3]})
    lines = plotting.show_learning({"MaskFormer": curve, "DETR": curve}).axes[0].lines
    points = {"detr": (3.0, 0.4), "yolact": (1.0, 0.5), "maskformer": (0.9, 0.5)}
    dots = plotting.tradeoff(points).axes[0].collections
    shades = {dot.get_label(): to_hex(dot.get_facecolor()[0]) for dot in dots}
    drawn = {line.get_label().lower(): to_hex(line.get_color()) for line in lines}
    assert drawn == {name: shades[name] for name in ("maskformer", "detr")}


def test_every_paradigm_that_finds_instances_has_a_colour_of_its_own():
    titles = [title for name, title in TITLES.items() if name not in ("fcn", "deepmask")]
    assert len(set(network_colors(titles))) == len(titles) == len(NETWORK_COLORS)


def test_other_names_take_colours_that_are_left():
    shades = network_colors(["mine", "Mask R-CNN", "yours", "Cascade R-CNN"])
    assert len(set(shades)) == 4
    assert shades[1::2] == network_colors(["mask_rcnn", "cascade_rcnn"])
