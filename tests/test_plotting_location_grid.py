"""The figure of a location grid tints the cells that it is given."""

from __future__ import annotations

import pytest
import torch
from matplotlib.patches import Rectangle

from seglib.errors import SeglibError
from seglib.plotting import PALETTE, show_location_grid
from tests.figures import words

IMAGE = torch.linspace(0, 1, 3 * 32 * 48).reshape(3, 32, 48)


def test_cells_lie_where_their_rows_and_columns_say() -> None:
    panels = {"4 × 4": (4, {"cat": [(0, 1)], "dog": [(3, 3)]}), "2 × 2": (2, {"dog": [(1, 0)]})}
    fig = show_location_grid(IMAGE, panels, torch.tensor([[10.0, 20.0]]))
    first, second = fig.axes[:2]
    corners = [(p.get_xy(), p.get_width(), p.get_height()) for p in first.patches]
    assert corners == [((12, 0), 12, 8), ((36, 24), 12, 8)]  # cells of 12 x 8 px
    assert [(p.get_xy(), p.get_width()) for p in second.patches] == [((0, 16), 24)]
    assert first.patches[1].get_facecolor() == second.patches[0].get_facecolor()
    assert (
        first.patches[0].get_facecolor()
        == Rectangle((0, 0), 1, 1, color=PALETTE[0], alpha=0.7).get_facecolor()
    )
    assert {"4 × 4", "2 × 2", "cat", "dog"} <= set(words(fig))
    (rules,) = first.collections
    ends = [path.vertices.tolist() for path in rules.get_paths()]
    assert ends[2:4] == [[[0, 8], [48, 8]], [[12, 0], [12, 32]]]
    assert len(ends) == 2 * 5  # five lines each way
    assert len(first.lines) == 2  # a centre with a light edge
    assert tuple(first.lines[-1].get_xydata()[0]) == (20, 10)


def test_a_grid_without_groups_has_no_legend() -> None:
    assert not show_location_grid(IMAGE, {"plain": (3, {})}).legends


def test_no_panel_is_refused() -> None:
    with pytest.raises(SeglibError, match="nothing to draw"):
        show_location_grid(IMAGE, {})
