"""Attention weights as a heat map over the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.detection import draw_boxes
from seglib.plotting.panels import Figure, bare, image_panels, mark_point
from seglib.plotting.style import SEQUENTIAL, VERMILION, styled


@styled
def show_attention(
    image: Any,
    panels: Mapping[str, Any],
    *,
    points: Mapping[str, tuple[float, float]] | None = None,
    boxes: Mapping[str, Any] | None = None,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.4,
) -> Figure:
    """Attention weights over an image, one panel per map; each map's largest weight is brightest.

    Args:
        image: float [3, H, W] in 0…1.
        panels: panel title → weights [h, w] over the whole image.
        points: panel title → the position (y, x) in pixels that attends, marked by a cross.
        boxes: panel title → the box [4] in pixels of the query that attends.

    Raises:
        SeglibError: no panel.
    """
    fig, grid = image_panels(
        image, len(panels), columns=columns, panel=panel, title=title, caption=caption
    )
    for axes, (name, weights) in zip(grid, panels.items(), strict=True):
        draw_attention(axes, image, weights, name)
        if points and name in points:
            y, x = points[name]
            mark_point(axes, x, y, VERMILION, 9)
        if boxes and name in boxes:
            draw_boxes(axes, to_numpy(boxes[name])[None], VERMILION)
    return fig


def draw_attention(axes: Axes, image: Any, weights: Any, title: str = "") -> None:
    """Weights [h, w] over a grey image [3, H, W], both at the size of the image."""
    picture = as_rgb(image).mean(-1)
    height, width = picture.shape
    extent = (0, width, height, 0)
    values = to_numpy(weights)
    strength = values / max(float(values.max()), 1e-12)
    bare(axes).imshow(picture, cmap="Greys_r", extent=extent, vmin=-90, vmax=300)
    alpha = 0.25 + 0.55 * strength
    axes.imshow(strength, cmap=SEQUENTIAL, vmin=0, vmax=1, alpha=alpha, extent=extent)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_title(title)
