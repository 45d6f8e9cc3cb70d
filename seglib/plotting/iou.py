"""Two masks or two boxes, and their overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from seglib.ops.boxes import box_area, box_iou
from seglib.ops.masks import mask_iou
from seglib.plotting.canvas import to_numpy
from seglib.plotting.panels import Figure, bare, figure, rectangle
from seglib.plotting.style import BLUE, GREEN, ORANGE, PALE, styled


@styled
def show_iou(
    a: Any, b: Any, *, names: tuple[str, str] = ("A", "B"), title: str = "", caption: str = ""
) -> Figure:
    """Two masks [H, W] or two boxes (x0, y0, x1, y1), their intersection and their IoU."""
    fig, grid = figure(panel=(5.4, 2.9), caption=caption)
    draw_iou(grid[0, 0], a, b, names, title)
    return fig


def draw_iou(
    axes: Axes, a: Any, b: Any, names: tuple[str, str] = ("A", "B"), title: str = ""
) -> float:
    """Draw `show_iou` on the given axes; returns the IoU."""
    first, second = (torch.as_tensor(to_numpy(x)) for x in (a, b))
    if first.ndim == 1:
        both, either, value = _draw_boxes(axes, first.double(), second.double())
    else:
        both, either, value = _draw_masks(axes, first.bool(), second.bool())
    axes.set_title(f"{title or 'IoU'} = {both:g} / {either:g} = {value:.2f}")
    handles = [
        Patch(facecolor="white", edgecolor=shade, hatch=hatch, label=label)
        for shade, hatch, label in (
            (BLUE, "////", f"only {names[0]}"),
            (ORANGE, "\\\\\\\\", f"only {names[1]}"),
            (GREEN, "xxxx", "both (intersection)"),
        )
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return value


def _draw_boxes(axes: Axes, a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, float]:
    value = float(box_iou(a[None], b[None])[0, 0])
    low, high = torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])
    common = torch.cat([low, torch.maximum(low, high)])
    both = float(box_area(common[None])[0])
    either = float(box_area(a[None])[0] + box_area(b[None])[0]) - both
    bare(axes)
    for box, shade, hatch in ((a, BLUE, "////"), (b, ORANGE, "\\\\\\\\")):
        _hatched(axes, box.tolist(), shade, hatch)
    if both > 0:
        axes.add_patch(rectangle(common.tolist(), facecolor="white", linewidth=0, zorder=1.5))
        _hatched(axes, common.tolist(), GREEN, "xxxx")
    corners = torch.stack([a, b])
    low, high = corners[:, :2].amin(0), corners[:, 2:].amax(0)
    air = max(0.5, 0.06 * float((high - low).max()))
    axes.set(xlim=(float(low[0]) - air, float(high[0]) + air))
    axes.set(ylim=(float(high[1]) + air, float(low[1]) - air), aspect="equal")
    return both, either, value


def _draw_masks(axes: Axes, a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, float]:
    value = float(mask_iou(a[None], b[None])[0, 0])
    bare(axes)
    for part, shade, hatch in (
        (a & ~b, BLUE, "////"),
        (b & ~a, ORANGE, "\\\\\\\\"),
        (a & b, GREEN, "xxxx"),
    ):
        _hatched_mask(axes, to_numpy(part), shade, hatch)
    height, width = a.shape
    axes.add_patch(rectangle([0, 0, width, height], fill=False, edgecolor=PALE))
    axes.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal")
    return float((a & b).sum()), float((a | b).sum()), value


def _hatched_mask(axes: Axes, part: NDArray[np.bool_], shade: str, hatch: str) -> None:
    """Runs of a mask as hatched strips, one patch per run."""
    steps = np.diff(np.pad(part.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    for row in range(part.shape[0]):
        starts, ends = np.flatnonzero(steps[row] == 1), np.flatnonzero(steps[row] == -1)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            corners = [start, row, end, row + 1]
            axes.add_patch(rectangle(corners, facecolor=shade, alpha=0.18, linewidth=0))
            axes.add_patch(
                rectangle(corners, fill=False, edgecolor=shade, hatch=hatch, linewidth=0)
            )


def _hatched(axes: Axes, corners: list[float], shade: str, hatch: str) -> None:
    axes.add_patch(rectangle(corners, facecolor=shade, alpha=0.18, linewidth=0, zorder=2))
    axes.add_patch(
        rectangle(corners, fill=False, edgecolor=shade, hatch=hatch, linewidth=1.8, zorder=2)
    )
