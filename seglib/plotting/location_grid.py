"""Grids of cells over an image: the cells assigned to objects, and the mask of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.panels import Figure, bare, image_panels, mark_point
from seglib.plotting.style import INK, SEQUENTIAL, VERMILION, color, styled

Cell = tuple[int, int]  # row and column
Groups = Mapping[str, Iterable[Cell]]


@styled
def show_location_grid(
    image: Any,
    panels: Mapping[str, tuple[int, Groups]],
    centres: Any = (),
    *,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.9,
) -> Figure:
    """Grids of S x S cells over an image, with groups of cells tinted.

    Args:
        image: float [3, H, W] in 0…1.
        panels: panel title → (S, group → its cells). A group has one colour in all panels, named
            in a legend.
        centres: [G, 2], (y, x) in pixels, marked by crosses.

    Raises:
        SeglibError: no panel.
    """
    fig, grid = image_panels(
        image, len(panels), columns=columns, panel=panel, title=title, caption=caption
    )
    names = list(dict.fromkeys(name for _, groups in panels.values() for name in groups))
    shades = {name: color(n) for n, name in enumerate(names)}
    for axes, (words, (side, groups)) in zip(grid, panels.items(), strict=True):
        draw_location_grid(axes, image, side, words)
        for name, cells in groups.items():
            tint_cells(axes, image, side, cells, shades[name])
        for y, x in to_numpy(centres).reshape(-1, 2).tolist() if len(centres) else []:
            mark_point(axes, x, y, INK, 5)
    handles = [Rectangle((0, 0), 1, 1, color=shade, alpha=0.7) for shade in shades.values()]
    if names:
        fig.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
    return fig


def draw_location_grid(axes: Axes, image: Any, side: int, title: str = "") -> None:
    """A pale image under the lines of S x S cells."""
    picture = as_rgb(image)
    height, width = picture.shape[:2]
    bare(axes).imshow(picture, extent=(0, width, height, 0), alpha=0.6)
    lines = []
    for n in range(side + 1):
        x, y = n * width / side, n * height / side
        lines += [[(0, y), (width, y)], [(x, 0), (x, height)]]
    style: Any = {"colors": INK, "linewidths": 0.4, "capstyle": "projecting", "joinstyle": "round"}
    axes.add_collection(LineCollection(lines, alpha=0.6, **style), autolim=False)
    axes.set(xlim=(-1, width + 1), ylim=(height + 1, -1))
    axes.set_title(title)


def tint_cells(
    axes: Axes, image: Any, side: int, cells: Iterable[Cell], shade: str = VERMILION
) -> None:
    """Fill cells (row, column) of the S x S over an image with a transparent colour."""
    height, width = (length / side for length in as_rgb(image).shape[:2])
    for row, column in cells:
        corner = (column * width, row * height)
        axes.add_patch(Rectangle(corner, width, height, color=shade, alpha=0.7, linewidth=0))


def draw_probabilities(axes: Axes, image: Any, mask: Any, title: str = "") -> None:
    """Probabilities [h, w] over a grey image, both at the size of the image."""
    picture = as_rgb(image).mean(-1)
    extent = (0, picture.shape[1], picture.shape[0], 0)
    values = to_numpy(mask)
    bare(axes).imshow(picture, cmap="Greys_r", extent=extent, vmin=-90, vmax=300)
    alpha = 0.15 + 0.65 * values.clip(0, 1)
    axes.imshow(values, cmap=SEQUENTIAL, vmin=0, vmax=1, alpha=alpha, extent=extent)
    axes.set_title(title)
