"""The locations of feature maps over an image, as dots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.lines import Line2D

from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.panels import Figure, bare, image_panels
from seglib.plotting.style import GREY, INK, color, styled


@styled
def show_locations(
    image: Any,
    panels: Mapping[str, tuple[Any, Mapping[str, Any]]],
    centres: Any = (),
    *,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.9,
) -> Figure:
    """The locations of each level, with groups of them coloured.

    Args:
        image: float [3, H, W] in 0…1.
        panels: panel title → (all points [L, 2], group → its points [n, 2]), as (x, y) where the
            centre of the first pixel is at 0. A group has one colour in all panels, named in a
            legend.
        centres: [G, 2], (x, y), marked by thin crosses that leave the dots visible.

    Raises:
        SeglibError: no panel.
    """
    fig, grid = image_panels(
        image, len(panels), columns=columns, panel=panel, title=title, caption=caption
    )
    names = list(dict.fromkeys(name for _, groups in panels.values() for name in groups))
    shades = {name: color(n) for n, name in enumerate(names)}
    picture = as_rgb(image)
    for axes, (words, (every, groups)) in zip(grid, panels.items(), strict=True):
        bare(axes).imshow(picture, alpha=0.6)
        axes.plot(*to_numpy(every).reshape(-1, 2).T, "o", color=GREY, markersize=1)
        for name, points in groups.items():
            dots = to_numpy(points).reshape(-1, 2).T
            axes.plot(*dots, "o", color=shades[name], markersize=5, markeredgecolor="white")
        if len(centres):
            crosses = to_numpy(centres).reshape(-1, 2).T
            axes.plot(*crosses, "x", color=INK, markersize=6, markeredgewidth=1)
        axes.set(xlim=(-0.5, picture.shape[1] - 0.5), ylim=(picture.shape[0] - 0.5, -0.5))
        axes.set_title(words)
    handles = [
        Line2D([], [], color=shade, marker="o", linestyle="", label=name)
        for name, shade in shades.items()
    ]
    if names:
        fig.legend(handles=handles, loc="outside lower center", ncols=min(4, len(names)))
    return fig
