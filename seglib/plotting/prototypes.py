"""Prototypes of YOLACT, and masks mixed from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.location_grid import draw_probabilities
from seglib.plotting.panels import Figure, bare, check_some, figure, image_panels, rectangle
from seglib.plotting.pictures import add_picture
from seglib.plotting.style import DIVERGING, ORANGE, styled

SIGNS = "orange adds · violet subtracts"


@styled
def show_prototypes(
    prototypes: Any,
    names: Sequence[str] = (),
    *,
    columns: int = 8,
    title: str = "",
    caption: str = "",
    panel: float = 1.2,
) -> Figure:
    """Prototypes side by side, each from black, 0, to white, its own largest value.

    Args:
        prototypes: [k, h, w], 0 or more.
        names: one for each prototype; by default their numbers.

    Raises:
        SeglibError: no prototype, or not [k, h, w].
    """
    maps = _as_maps(prototypes)
    across = min(columns, len(maps))
    size = (panel, panel * maps.shape[1] / maps.shape[2])
    rows = -(-len(maps) // across)
    fig, grid = figure(across, rows, panel=size, title=title, caption=caption)
    for number, axes in enumerate(grid.flat):
        bare(axes)
        if number < len(maps):
            one = maps[number]
            axes.imshow(one, cmap="Greys_r", vmin=0, vmax=max(float(one.max()), 1e-6))
            axes.set_title(names[number] if number < len(names) else str(number), fontsize=8.5)
        else:
            axes.set_axis_off()
    return fig


@styled
def show_mixture(
    image: Any,
    terms: Any,
    mask: Any,
    names: Sequence[str],
    *,
    box: Any = None,
    columns: int = 4,
    title: str = "",
    panel: float = 2.3,
) -> Figure:
    """Weighted prototypes, their sum, and the mask that it gives.

    Args:
        image: float [3, H, W] in 0…1.
        terms: [n, h, w], prototypes times their coefficients, all drawn with one scale.
        mask: probabilities [h, w], drawn over the image.
        names: one for each term.
        box: (x0, y0, x1, y1) in pixels of the image, drawn around the mask.

    Raises:
        SeglibError: no term, or not [n, h, w].
    """
    maps = _as_maps(terms)
    fig, panels = image_panels(
        image, len(maps) + 2, columns=columns, title=title, caption=SIGNS, panel=panel
    )
    reach = max(float(np.abs(maps).max()), 1e-6)
    for axes, one, name in zip(panels, maps, names, strict=False):
        _draw_signed(axes, one, reach, name)
    _draw_signed(panels[-2], maps.sum(axis=0), reach, "sum")
    draw_probabilities(panels[-1], image, mask, "mask")
    if box is not None:
        corners = to_numpy(box).tolist()
        panels[-1].add_patch(rectangle(corners, fill=False, edgecolor=ORANGE, linewidth=1.5))
        height, width = as_rgb(image).shape[:2]
        panels[-1].set(xlim=(0, width), ylim=(height, 0))
    return fig


def _draw_signed(axes: Axes, values: NDArray[Any], reach: float, name: str) -> None:
    """Numbers from −reach, violet, over 0, white, to +reach, orange."""
    shades = mpl.colormaps[DIVERGING](Normalize(-reach, reach)(values), bytes=True)  # [h, w, 4]
    add_picture(bare(axes), shades[..., :3], interpolation="nearest")
    axes.set_title(name)


def _as_maps(values: Any) -> NDArray[Any]:
    maps = to_numpy(values)
    if maps.ndim != 3:
        raise SeglibError(f"prototypes are [k, h, w], got {list(maps.shape)}")
    check_some(len(maps), "prototype")
    return maps
