"""Shapes as rays from a centre: over an image, unrolled by angle, and filled as masks.

Coordinates are those of PolarMask: the centre of the first pixel is at 0, and an angle of 0° points
down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Patch
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.models.polarmask.rays import contour_points
from seglib.ops.masks import mask_iou
from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.panels import (
    Figure,
    bare,
    figure,
    image_panels,
    legend_beside,
    mark_point,
    panel_grid,
    panel_height,
    switch_off,
)
from seglib.plotting.style import BLUE, GREEN, GREY, INK, ORANGE, PALETTE, as_bytes, color, styled

Fan = tuple[Any, Any]  # a centre [2], (x, y), and distances [n] along the rays from it
FEW_PIXELS = 16  # images up to this side show the edges of their pixels
PARTS = {"both": GREEN, "only the truth": BLUE, "only the contour": ORANGE}


@styled
def show_rays(
    image: Any,
    panels: Mapping[str, Sequence[Fan]],
    masks: Any = (),
    *,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.9,
) -> Figure:
    """Shapes over an image: a centre, the rays from it, and the contour through their ends.

    Args:
        image: float [3, H, W] or [H, W] in 0…1; the pixels of a tiny one are framed.
        panels: panel title → its shapes, each (centre [2], distances [n]) in pixels.
        masks: bool [G, H, W], tinted and outlined in all panels.

    Raises:
        SeglibError: no panel.
    """
    fig, grid = image_panels(
        image, len(panels), columns=columns, panel=panel, title=title, caption=caption
    )
    for axes, (words, fans) in zip(grid, panels.items(), strict=True):
        draw_rays(axes, image, fans, masks, words)
    return fig


def draw_rays(
    axes: Axes, image: Any, fans: Sequence[Fan], masks: Any = (), title: str = ""
) -> None:
    """`show_rays` on the given axes."""
    picture = as_rgb(image) / 255.0
    shapes = to_numpy(masks).astype(bool) if len(masks) else ()
    for mask in shapes:
        picture[mask] = 0.6 * picture[mask] + 0.4
    bare(axes).imshow(picture, interpolation="nearest")
    height, width = picture.shape[:2]
    for mask in shapes:
        draw_outline(axes, mask)
    if max(height, width) <= FEW_PIXELS:
        edges: Any = {"color": GREY, "lw": 0.5, "zorder": 1}
        axes.hlines(np.arange(height + 1) - 0.5, -0.5, width - 0.5, **edges)
        axes.vlines(np.arange(width + 1) - 0.5, -0.5, height - 0.5, **edges)
    for number, (centre, distances) in enumerate(fans):
        start = torch.as_tensor(centre, dtype=torch.float32)
        ends = to_numpy(contour_points(start, torch.as_tensor(distances).float()))  # [n, 2]
        x, y = start.tolist()
        rays = [[(x, y), end] for end in ends]
        style: Any = {"colors": color(number), "linewidths": 0.7, "capstyle": "projecting"}
        axes.add_collection(LineCollection(rays, alpha=0.8, zorder=2, **style), autolim=False)
        closed = np.concatenate([ends, ends[:1]])
        axes.plot(*closed.T, color="white", lw=2.6)
        axes.plot(*closed.T, color=color(number), lw=1.6, marker="o", markersize=1.8)
        mark_point(axes, x, y, INK, 5)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_title(title)


def draw_outline(axes: Axes, mask: NDArray[np.bool_]) -> None:
    """A dark line around a mask [H, W], closed where the mask meets the image's border."""
    if mask.any():
        height, width = mask.shape
        columns, rows = np.arange(-1, width + 1), np.arange(-1, height + 1)
        padded = np.pad(mask, 1).astype(float)
        axes.contour(columns, rows, padded, levels=[0.5], colors=[INK], linewidths=1.2)


@styled
def show_ray_profile(
    profiles: Mapping[str, Any], *, title: str = "The shape, unrolled", caption: str = ""
) -> Figure:
    """Distance against angle: one line per shape, name → distances [n].

    Raises:
        SeglibError: no shape.
    """
    if not profiles:
        raise SeglibError("nothing to draw: give at least one shape")
    fig, grid = figure(panel=(5.6, 2.7), caption=caption)
    axes = grid[0, 0]
    for shade, (name, distances) in zip(PALETTE, profiles.items(), strict=False):
        lengths = to_numpy(distances)
        angles = np.arange(len(lengths) + 1) * 360 / len(lengths)
        closed = np.append(lengths, lengths[0])
        axes.plot(angles, closed, color=shade, marker="o", markersize=2.5, label=name)
    axes.set(title=title, xlabel="angle of the ray", ylabel="distance (px)", xlim=(-3, 363))
    sides = ("down", "right", "up", "left", "down")
    axes.set_xticks(range(0, 361, 90), [f"{90 * k}°\n{side}" for k, side in enumerate(sides)])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    if len(profiles) > 1:
        legend_beside(fig, axes)
    return fig


@styled
def show_mask_errors(
    pictures: Sequence[tuple[Any, Any, Any]],
    titles: Sequence[str] = (),
    *,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.4,
) -> Figure:
    """Where the mask of a contour and the true mask agree, and where they differ.

    Args:
        pictures: each (image, true mask [H, W], the contour's mask [H, W]); the IoU is added to
            its title.
        titles: one for each picture, or none.

    Raises:
        SeglibError: no picture.
    """
    ncols, nrows = panel_grid(len(pictures), columns)
    size = (panel, max(panel_height(image, panel) for image, _, _ in pictures))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    switch_off(grid, len(pictures))
    words = titles or [""] * len(pictures)
    for axes, (image, truth, found), text in zip(grid.flat, pictures, words, strict=False):
        draw_mask_error(axes, image, truth, found, text)
    name_parts(fig)
    return fig


def name_parts(fig: Figure) -> None:
    """The legend of `show_mask_errors`, below the panels."""
    handles = [Patch(color=shade, label=name) for name, shade in PARTS.items()]
    fig.legend(handles=handles, loc="outside lower center", ncols=3)


def draw_mask_error(axes: Axes, image: Any, truth: Any, found: Any, title: str = "") -> None:
    """One panel of `show_mask_errors`."""
    grey = as_rgb(image).mean(-1, keepdims=True) * 0.4 + 150
    picture = np.repeat(grey, 3, axis=-1)  # [H, W, 3] in 0…255
    true, drawn = (torch.as_tensor(to_numpy(mask)).bool() for mask in (truth, found))
    for part, shade in zip(
        (true & drawn, true & ~drawn, drawn & ~true), PARTS.values(), strict=True
    ):
        picture[part.numpy()] = 0.35 * picture[part.numpy()] + 0.65 * np.array(as_bytes(shade))
    bare(axes).imshow(picture.clip(0, 255).astype(np.uint8), interpolation="nearest")
    overlap = float(mask_iou(true[None], drawn[None])[0, 0])
    axes.set_title(f"{title}\nIoU {overlap:.2f}" if title else f"IoU {overlap:.2f}")
