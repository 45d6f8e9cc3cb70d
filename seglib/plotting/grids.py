"""Small grids of numbers, with which convolutions and masks are explained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from seglib.plotting.canvas import to_numpy
from seglib.plotting.panels import bare
from seglib.plotting.style import GREY, PALE, VERMILION, ink_on

Cell = tuple[int, int]


def number_text(value: float) -> str:
    """A number in at most five characters, with a true minus sign."""
    if np.isnan(value):
        return ""
    if float(value).is_integer() and abs(value) < 1000:
        return f"{int(value)}".replace("-", "−")
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{decimals}f}".replace("-", "−")


def draw_grid(
    axes: Axes,
    values: Any,
    title: str = "",
    *,
    numbers: bool = True,
    cmap: str = "Greys",
    limits: tuple[float, float] | None = None,
    padding: int = 0,
    fontsize: float | None = None,
) -> Axes:
    """A matrix [H, W] as shaded cells with their numbers; NaN cells stay empty.

    Args:
        axes: one unit per cell, row 0 at the top.
        values: [H, W].
        title: text above the grid.
        numbers: whether to write the values.
        cmap: matplotlib's name of the colour map.
        limits: the values with the palest and the darkest shade.
        padding: cells of zeros on each side, drawn dashed.
        fontsize: font size of the numbers; by default, they fit the cells.
    """
    matrix = to_numpy(values).astype(np.float64)
    height, width = matrix.shape
    low, high = limits or _limits(matrix)
    span = max(high - low, 1e-12)
    shades = mpl.colormaps[cmap]
    side = max(height, width) + 2 * padding
    longest = max((len(number_text(float(value))) for value in matrix.flat), default=1)
    size = fontsize or float(np.clip(min(80, 170 / max(1, longest)) / side, 6, 12))
    cells, faces = [], []
    for row in range(-padding, height + padding):
        for column in range(-padding, width + padding):
            inside = 0 <= row < height and 0 <= column < width
            value = matrix[row, column] if inside else 0.0
            # The darkest third of the map is not used, so that every number can be read in black.
            shade: Any = shades(0.62 * (value - low) / span) if inside else "white"
            if np.isnan(value):
                shade = "white"
            cells.append((row, column, inside))
            faces.append(shade)
            if numbers and not np.isnan(value):
                ink = ink_on(shade[:3]) if inside else GREY
                _write(axes, row, column, number_text(value), size, ink)
    _add_cells(axes, cells, faces)
    return frame_cells(axes, (height, width), title, padding)


def frame_cells(axes: Axes, size: Cell, title: str = "", padding: int = 0) -> Axes:
    """Limits for [H, W] square cells with row 0 at the top and a narrow margin."""
    height, width = size
    bare(axes)
    axes.set_xlim(-0.6 - padding, width - 0.4 + padding)
    axes.set_ylim(height - 0.4 + padding, -0.6 - padding)
    axes.set_aspect("equal")
    axes.set_title(title)
    return axes


def _limits(matrix: NDArray[np.float64]) -> tuple[float, float]:
    finite = matrix[np.isfinite(matrix)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _add_cells(axes: Axes, cells: Sequence[tuple[int, int, bool]], faces: Sequence[Any]) -> None:
    """Squares at (row, column, whether inside the matrix), as one artist, since many are slow."""
    squares = [_square(row, column) for row, column, _ in cells]
    inside = [within for *_, within in cells]
    axes.add_collection(
        PolyCollection(
            squares,
            facecolors=faces,
            edgecolors=[GREY if within else PALE for within in inside],
            linewidths=0.7,
            linestyles=["-" if within else ":" for within in inside],
            joinstyle="miter",
            capstyle="butt",
            zorder=1,
        ),
        autolim=False,
    )


def _square(row: float, column: float) -> list[tuple[float, float]]:
    left, top = column - 0.5, row - 0.5
    return [(left, top), (left + 1, top), (left + 1, top + 1), (left, top + 1)]


def _write(axes: Axes, row: int, column: int, words: str, size: float, ink: str) -> None:
    number = _Number(column, row, words, ha="center", va="center", fontsize=size, color=ink)
    number.set_transform(axes.transData)
    axes.add_artist(number)
    number.set_clip_on(False)


class _Number(Text):
    """Digits in the middle of a cell, drawn with less work than a text of any kind needs."""

    def draw(self, renderer: Any) -> None:
        """Draw the digits; all of them are equally wide, and none reaches below its line."""
        words, font = self.get_text(), self.get_fontproperties()
        width, height, below = renderer.get_text_width_height_descent(
            re.sub(r"\d", "0", words), font, False
        )
        x, y = self.get_transform().transform(self.get_position())
        y -= (height - below) / 2
        gc = renderer.new_gc()
        gc.set_foreground(self.get_color())
        top = renderer.get_canvas_width_height()[1] if renderer.flipy() else 2 * y
        renderer.draw_text(gc, x - width / 2, top - y, words, font, 0.0)
        gc.restore()


def mark_cells(
    axes: Axes, cells: Iterable[Cell], shade: str = VERMILION, alpha: float = 0.28
) -> None:
    """Tint single cells (row, column) and frame them."""
    squares = [_square(*cell) for cell in cells]
    tint: Any = {"facecolors": shade, "alpha": alpha, "linewidths": 0, "zorder": 1.5}
    frames: Any = {"facecolors": "none", "edgecolors": shade, "linewidths": 1.4, "zorder": 3}
    for style in (tint, frames):
        collection = PolyCollection(squares, joinstyle="miter", capstyle="butt", **style)
        axes.add_collection(collection, autolim=False)


def mark_block(
    axes: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    shade: str = VERMILION,
    linewidth: float = 2.4,
    **style: Any,
) -> None:
    """Frame a block of cells from `corner` (row, column), of `size` (rows, columns)."""
    row, column = corner
    axes.add_patch(
        Rectangle(
            (column - 0.5, row - 0.5),
            size[1],
            size[0],
            fill=False,
            edgecolor=shade,
            linewidth=linewidth,
            zorder=3,
            **style,
        )
    )
