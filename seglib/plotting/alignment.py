"""The positions of score maps of several strides over the image, and the cells to be cropped."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from seglib.ops.grid import Grid
from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import BLUE, GREY, INK, PALE, VERMILION, styled


@styled
def show_alignment(
    maps: Mapping[str, tuple[Grid, int]],
    size: int,
    *,
    title: str = "Each cell at its position in the image",
    caption: str = "Hatched: cells whose centre lies outside the image; they are cropped.",
) -> Figure:
    """Each map as a row of numbered cells along one axis of the image.

    Args:
        maps: name → (positions of its cells, number of cells).
        size: side of the image in pixels.
    """
    fig, grid = figure(panel=(8.6, 0.62 * len(maps) + 0.7), title=title, caption=caption)
    axes = grid[0, 0]
    for row, (places, count) in enumerate(maps.values()):
        _draw_cells(axes, row, places, count, size)
    for edge in (-0.5, size - 0.5):
        axes.axvline(edge, color=INK, linestyle="--", linewidth=1)
    spans = [(g.origin - g.stride / 2, g.origin + g.stride * (n - 0.5)) for g, n in maps.values()]
    left, right = min(-0.5, *(a for a, _ in spans)), max(size - 0.5, *(b for _, b in spans))
    axes.set(xlim=(left - 1, right + 1), ylim=(len(maps) - 0.4, -0.6))
    axes.set_xticks([t - 0.5 for t in range(0, size + 1, max(1, size // 4))])
    axes.set_xticklabels([str(t) for t in range(0, size + 1, max(1, size // 4))])
    axes.set_yticks(range(len(maps)), [*maps])
    axes.set_xlabel("pixel (dashed lines: borders of the image)")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    return fig


def _draw_cells(axes: Axes, row: int, places: Grid, count: int, size: int) -> None:
    """One row of cells, with numbers if there is room for them."""
    for cell in range(count):
        centre = places.origin + places.stride * cell
        inside = -0.5 < centre < size - 0.5
        axes.add_patch(
            Rectangle(
                (centre - places.stride / 2, row - 0.34),
                places.stride,
                0.68,
                facecolor=BLUE if inside else "white",
                alpha=0.35 if inside and cell % 2 else 0.2 if inside else 1.0,
                edgecolor=BLUE if inside else VERMILION,
                hatch=None if inside else "////",
                linewidth=0.8 if places.stride >= size / 32 else 0.0,
            )
        )
        if places.stride >= size / 24:
            shade = INK if inside else GREY
            background = {"facecolor": "white", "edgecolor": PALE, "pad": 1.0}
            axes.text(
                centre,
                row,
                str(cell),
                ha="center",
                va="center",
                fontsize=8.5,
                color=shade,
                bbox=None if inside else background,
            )
