"""Figures of rays, of unrolled shapes, of wrong pixels and of locations show their numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seglib.errors import SeglibError
from seglib.plotting import show_locations, show_mask_errors, show_ray_profile, show_rays
from seglib.plotting.panels import Figure
from tests.figures import words

IMAGE = torch.linspace(0, 1, 3 * 20 * 30).reshape(3, 20, 30)


def lines(fig: Figure, panel: int = 0) -> list[list[list[float]]]:
    """The points of every line of a panel."""
    return [np.asarray(line.get_xydata()).round(4).tolist() for line in fig.axes[panel].lines]


def test_rays_end_on_the_contour() -> None:
    fan = (torch.tensor([10.0, 8.0]), torch.tensor([4.0, 3.0, 2.0, 1.0]))  # down, right, up, left
    fig = show_rays(IMAGE, {"one": [fan], "none": []}, torch.ones(1, 20, 30, dtype=torch.bool))
    ends = [[10, 12], [13, 8], [10, 6], [9, 8]]
    rays = fig.axes[0].collections[-1].get_paths()
    assert [path.vertices.tolist() for path in rays] == [[[10, 8], end] for end in ends]
    assert lines(fig)[1] == [*ends, ends[0]]
    assert lines(fig)[-1] == [[10, 8]]
    assert lines(fig, 1) == []
    assert {"one", "none"} <= set(words(fig))
    with pytest.raises(SeglibError, match="nothing to draw"):
        show_rays(IMAGE, {})


def test_the_pixels_of_a_tiny_image_are_framed() -> None:
    frames = show_rays(torch.ones(2, 3), {"one": []}).axes[0].collections
    across, down = ([path.vertices.tolist() for path in lines.get_paths()] for lines in frames)
    assert across == [[[-0.5, y], [2.5, y]] for y in (-0.5, 0.5, 1.5)]
    assert down == [[[x, -0.5], [x, 1.5]] for x in (-0.5, 0.5, 1.5, 2.5)]
    assert not show_rays(IMAGE, {"one": []}).axes[0].collections


def test_an_object_is_tinted_and_outlined_also_at_the_border() -> None:
    mask = torch.zeros(2, 20, 30, dtype=torch.bool)
    mask[0, :4, :6] = True  # the second mask is empty
    fig = show_rays(IMAGE, {"one": []}, mask)
    (outline,) = fig.axes[0].collections
    (path,) = outline.get_paths()
    low, high = path.vertices.min(axis=0), path.vertices.max(axis=0)
    assert (low.tolist(), high.tolist()) == ([-0.5, -0.5], [5.5, 3.5])
    picture = np.asarray(fig.axes[0].images[0].get_array())
    assert picture[0, 0].tolist() == pytest.approx((IMAGE[:, 0, 0] * 0.6 + 0.4).tolist(), abs=0.01)
    assert picture[9, 9].tolist() == pytest.approx(IMAGE[:, 9, 9].tolist(), abs=0.01)


def test_a_profile_closes_the_circle() -> None:
    fig = show_ray_profile({"four": [4.0, 3, 2, 1], "three": torch.ones(3)})
    assert lines(fig)[0] == [[0, 4], [90, 3], [180, 2], [270, 1], [360, 4]]
    assert lines(fig)[1] == [[0, 1], [120, 1], [240, 1], [360, 1]]
    assert {"four", "three", "0°\ndown", "270°\nleft"} <= set(words(fig))
    with pytest.raises(SeglibError, match="at least one shape"):
        show_ray_profile({})


def test_pixels_of_both_of_the_truth_and_of_the_contour_have_colours_of_their_own() -> None:
    truth, found = (torch.zeros(20, 30, dtype=torch.bool) for _ in range(2))
    truth[:, :20], found[:, 10:] = True, True
    fig = show_mask_errors([(torch.zeros(3, 20, 30), truth, found)] * 2, ["a", "b"])
    picture = np.asarray(fig.axes[0].images[0].get_array())
    missed, both, extra = (tuple(picture[5, x].tolist()) for x in (5, 15, 25))
    assert missed[2] == max(missed)  # blue
    assert both[1] == max(both)  # green
    assert extra[0] == max(extra)  # orange
    assert fig.axes[0].get_title() == "a\nIoU 0.33"
    assert {"both", "only the truth", "only the contour"} <= set(words(fig))


def test_locations_are_dots_at_their_points() -> None:
    every = torch.tensor([[2.0, 2], [6, 2]])
    panels = {"stride 4": (every, {"cat": every[:1]}), "stride 8": (every[:1], {})}
    fig = show_locations(IMAGE, panels, torch.tensor([[3.0, 3]]))
    assert lines(fig)[:2] == [[[2, 2], [6, 2]], [[2, 2]]]
    assert lines(fig)[-1] == [[3, 3]]
    assert {"stride 4", "stride 8", "cat"} <= set(words(fig))
    assert not show_locations(IMAGE, {"all": (every, {})}).legends
