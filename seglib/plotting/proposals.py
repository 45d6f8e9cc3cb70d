"""Class-agnostic proposals: the objects they cover, and recall by the number of proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seglib.errors import SeglibError
from seglib.ops.masks import mask_iou
from seglib.plotting.canvas import Canvas
from seglib.plotting.panels import (
    LIGHT,
    Figure,
    figure,
    image_panels,
    panel_pixels,
    show_pixels,
)
from seglib.plotting.style import GREY, color, rgb, styled
from seglib.structures import Instances, Target


@styled
def show_coverage(
    image: Any,
    proposals: Instances,
    target: Target,
    counts: Sequence[int] = (10, 100, 1000),
    *,
    caption: str = "",
    panel: float = 2.5,
) -> Figure:
    """How well the best 10, 100, 1000 proposals cover the true objects.

    Each object is covered by the mask of the proposal that fits it best, with its IoU. An object
    without a proposal of IoU 0.5 or more is hatched.

    Args:
        image: float [3, H, W] in 0…1.
        proposals: proposals with masks, best score first.
        target: the objects; crowds are left out.
        counts: numbers of proposals, one panel each.
    """
    if proposals.masks is None:
        raise SeglibError("show_coverage needs proposals with masks")
    objects: Target = target[~target.iscrowd]
    fig, panels = image_panels(
        image, len(counts), columns=len(counts), panel=panel, caption=caption
    )
    fig.heavy = LIGHT
    overlaps = mask_iou(proposals.masks, objects.masks)  # [N, G]
    for axes, count in zip(panels, counts, strict=True):
        canvas = Canvas(image, panel_pixels(len(counts), panel), shrink=True)
        tags = []
        best = overlaps[:count].max(dim=0) if len(overlaps) else None
        for i, box in enumerate(objects.boxes):
            value = float(best.values[i]) if best is not None else 0.0
            if best is None or value < 0.5:
                canvas.hatch(canvas.resize_mask(objects.masks[i]), (90, 90, 90))
                continue
            bits = canvas.resize_mask(proposals.masks[best.indices[i]])
            canvas.fill(bits, rgb(i))
            canvas.outline(bits, rgb(i))
            tags.append((f"{value:.2f}", box, rgb(i)))
        for tag in tags:  # on top of all masks
            canvas.tag(*tag)
        title = f"Best {count}: {len(tags)} of {len(objects)} objects"
        show_pixels(axes, canvas.pixels, title)
    return fig


@styled
def show_average_recall(
    lines: Mapping[str, Mapping[int, float]],
    *,
    title: str = "Average recall",
    caption: str = "",
) -> Figure:
    """Average recall by the number of proposals per image.

    Args:
        lines: name → number of proposals → average recall in 0…1.
    """
    fig, grid = figure(panel=(6.6, 3.4), caption=caption)
    axes = grid[0, 0]
    for i, (name, values) in enumerate(lines.items()):
        counts = np.array(sorted(values))
        heights = np.array([values[int(count)] for count in counts])
        size = max(5.0, 9 - 1.5 * i)  # so that a later point does not hide an earlier one
        axes.plot(counts, heights, "o-", color=color(i), label=name, markersize=size, clip_on=False)
        for count, height in zip(counts, heights, strict=True):
            # The values of points that nearly coincide are stacked, the lowest first.
            beneath = [v[int(count)] for v in lines.values() if int(count) in v]
            below = sum(height - 0.05 < other < height for other in beneath)
            axes.annotate(
                f"{height:.2f}",
                (count, height),
                xytext=(0, 6 + 10 * below),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
                color=GREY,
            )
    axes.set_xscale("log")
    ticks = sorted({count for values in lines.values() for count in values})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set(ylim=(0, 1.08), xlabel="proposals per image", ylabel="average recall", title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig
