"""Accuracy against cost and training time: points lie where their numbers say, the best joined."""

from __future__ import annotations

from seglib import plotting
from seglib.plotting.tradeoffs import frontier
from seglib.pretrained.curves import LearningCurve


def test_the_frontier_leaves_out_what_a_cheaper_one_reaches():
    points = [(3.0, 0.5), (1.0, 0.2), (2.0, 0.6), (4.0, 0.6), (2.0, 0.1)]
    assert frontier(points) == [(1.0, 0.2), (2.0, 0.6)]


def test_each_name_stands_at_its_point():
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
