"""The figure of aligned score maps shows the position of each cell, and those cropped."""

from __future__ import annotations

from matplotlib.patches import Rectangle

from seglib.ops.grid import Grid
from seglib.plotting import show_alignment


def cells(figure):
    return [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]


def test_cells_have_their_positions_in_the_grid():
    coarse = Grid(stride=4, origin=1.5)  # two cells over eight pixels
    doubled = coarse.transposed(4, 2)  # six cells of two pixels, one too many on each side
    figure = show_alignment({"coarse": (coarse, 2), "doubled": (doubled, 6)}, 8)
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in cells(figure)]
    assert spans[:2] == [(-0.5, 3.5), (3.5, 7.5)]
    assert spans[2] == (-2.5, -0.5)
    assert spans[-1] == (7.5, 9.5)
    hatched = [bool(p.get_hatch()) for p in cells(figure)]
    assert hatched == [False, False, True, False, False, False, False, True]
    assert figure.png() == show_alignment({"coarse": (coarse, 2), "doubled": (doubled, 6)}, 8).png()
