"""The figures of attention and of matching draw the values that they are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seglib.errors import SeglibError
from seglib.plotting import show_attention, show_costs, show_matching, show_query_boxes
from tests.figures import words

IMAGE = torch.linspace(0, 1, 3 * 32 * 48).reshape(3, 32, 48)
BOXES = torch.tensor([[0.0, 0, 10, 10], [20, 10, 40, 30]])


def test_attention_is_drawn_relative_to_its_largest_weight() -> None:
    weights = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    fig = show_attention(IMAGE, {"query 3": weights}, points={"query 3": (8.0, 12.0)})
    (axes,) = fig.axes
    heat = axes.images[-1]
    assert np.allclose(heat.get_array(), weights / 0.4)
    assert heat.get_extent() == [0, 48, 32, 0]
    assert tuple(axes.lines[-1].get_xydata()[0]) == (12, 8)
    assert "query 3" in words(fig)


def test_a_box_belongs_to_its_panel() -> None:
    maps = {"a": torch.ones(2, 2), "b": torch.ones(2, 2)}
    fig = show_attention(IMAGE, maps, boxes={"b": BOXES[1]})
    assert [len(axes.collections) for axes in fig.axes] == [0, 1]


def test_costs_have_their_numbers_names_and_framed_pairs() -> None:
    cost = torch.tensor([[1.5, 2.0], [0.25, 7.0], [3.0, 4.0]])
    pairs = [(1, 0), (0, 1)]
    fig = show_costs({"least": (cost, pairs)}, ["q0", "q1", "q2"], ["cat", "dog"])
    texts = words(fig)
    assert {"1.50", "2", "0.25", "7", "q2", "dog", "least"} <= set(texts)
    (axes,) = fig.axes
    frames = axes.collections[-1].get_paths()
    corners = [path.vertices.min(axis=0).tolist() for path in frames]
    assert corners == [[-0.5, 0.5], [0.5, -0.5]]  # (column, row), less half a cell


def test_a_matching_joins_the_centres_of_its_pairs() -> None:
    fig = show_matching(IMAGE, {"set": (BOXES, BOXES[:1] + 4, [(1, 0)])}, ["first", "second"])
    (axes,) = fig.axes
    line, ring = axes.lines
    assert ring.get_xydata().tolist() == [[9, 9]]
    assert line.get_xydata().tolist() == [[30, 20], [9, 9]]
    assert "second" in words(fig)
    assert "first" not in words(fig)
    assert "pair" in words(fig)
    dashed = [group.get_linestyle()[0][1] is not None for group in axes.collections]
    assert dashed == [False, True, False, False]  # a light rim, then the dashes


def test_a_query_has_a_dot_for_each_image() -> None:
    boxes = torch.tensor([[0.5, 0.25, 0.2, 0.2], [0.1, 0.9, 0.4, 0.1]])
    fig = show_query_boxes({"query 0": boxes, "query 1": boxes[:1]})
    first, second = fig.axes[:2]
    assert np.allclose(first.collections[0].get_offsets(), boxes[:, :2])
    assert first.collections[0].get_array().tolist() == pytest.approx([0.2, 0.2])
    assert len(second.collections[0].get_offsets()) == 1
    assert "side of a square of equal area" in words(fig)


@pytest.mark.parametrize("draw", [show_query_boxes, lambda p: show_costs(p, [], [])])
def test_no_panel_is_refused(draw) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SeglibError, match="nothing to draw"):
        draw({})
