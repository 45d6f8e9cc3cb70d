"""What the networks of the course do, drawn: pyramids, skips, tasks, score maps, merged objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from seglib.errors import SeglibError
from seglib.plotting.canvas import to_numpy
from seglib.plotting.diagrams import Arrow, Block, flow_diagram
from seglib.plotting.images import panel_height, panel_pixels, show_pixels
from seglib.plotting.overlays import Layer, overlay, short_name
from seglib.plotting.segments import legend_of_labels, paint_labels
from seglib.plotting.style import Figure, add_caption, figure, panel_grid, rgb, styled, switch_off
from seglib.plotting.tasks import object_shades
from seglib.structures import Categories, Target


def resnet_diagram(size: int = 224, widths: tuple[int, ...] = (64, 128, 256, 512)) -> Figure:
    """A ResNet's stem and four stages C2 … C5 (He et al. 2016, table 1)."""
    stages = [
        Block(f"stage C{i}", f"{w} × {size >> i} × {size >> i}", at=(i, 0))
        for i, w in enumerate(widths, 2)
    ]
    return flow_diagram(
        [
            Block("image", f"3 × {size} × {size}", "data", (0, 0)),
            Block("stem, pool", f"{widths[0]} × {size >> 2} × {size >> 2}", at=(1, 0)),
            *stages,
        ],
        title="A ResNet: residual blocks in four stages",
        caption="Stage Ck has stride 2ᵏ: height and width are those of the image over 2ᵏ.",
    )


def fpn_diagram(size: int = 128, channels: int = 256) -> Figure:
    """A feature pyramid: the way up, the way down, and lateral steps (Lin et al. 2017, fig. 3)."""
    blocks = [Block("image", f"3 × {size} × {size}", "data", (0, 0))]
    arrows: list[Arrow] = [("image", "C2")]
    for i, level in enumerate((2, 3, 4, 5), 1):
        side = size >> level
        blocks.append(Block(f"C{level}", f"{side} × {side}", "layer", (i, 0)))
        blocks.append(Block(f"P{level}", f"{channels} × {side} × {side}", "output", (i, 1.25)))
        arrows.append((f"C{level}", f"P{level}", "1×1"))
        if level > 2:
            arrows.append((f"C{level - 1}", f"C{level}", "÷2"))
            arrows.append((f"P{level}", f"P{level - 1}", "×2"))
    return flow_diagram(
        blocks,
        arrows,
        title="A feature pyramid",
        caption="Upsampled from the right, the lateral 1×1 convolution added, then a 3×3 each.",
    )


def fcn_diagram(
    variant: Literal["32s", "16s", "8s"] = "8s", size: int = 128, classes: str = "C+1"
) -> Figure:
    """FCN: score maps at strides 32, 16 and 8, enlarged and added (Long et al. 2015, figure 3)."""
    steps = {"32s": (32,), "16s": (32, 16), "8s": (32, 16, 8)}
    if variant not in steps:
        raise SeglibError(f"no FCN variant {variant!r}: choose 32s, 16s or 8s")
    blocks = [Block("image", f"3 × {size} × {size}", "data", (0, 0))]
    for column, (name, stride) in enumerate((("pool3", 8), ("pool4", 16), ("pool5", 32)), 1):
        blocks.append(Block(name, f"{size // stride} × {size // stride}", "layer", (column, 0)))
    blocks.append(Block("conv6, conv7", f"{size // 32} × {size // 32}", "layer", (4, 0)))
    blocks.append(Block("score32", f"{classes} × {size // 32}²", "head", (4, 1.15)))
    arrows: list[Arrow] = [
        ("image", "pool3"),
        ("pool3", "pool4"),
        ("pool4", "pool5"),
        ("pool5", "conv6, conv7"),
        ("conv6, conv7", "score32", "1×1"),
    ]
    last = "score32"
    for stride, column, source in ((16, 2, "pool4"), (8, 1, "pool3")):
        if stride in steps[variant]:
            name = f"score{stride}"
            blocks.append(Block(name, f"{classes} × {size // stride}²", "head", (column, 1.15)))
            arrows += [(source, name, "1×1, +"), (last, name, "×2")]
            last = name
    stride = steps[variant][-1]
    blocks.append(Block("labels", f"{size} × {size}", "output", (0, 1.15)))
    arrows.append((last, "labels", f"×{stride}"))
    return flow_diagram(
        blocks,
        arrows,
        title=f"FCN-{variant}",
        caption=f"Scores of {classes} classes; ×2 and ×{stride} are transposed convolutions.",
    )


@styled
def task_comparison(
    image: Any, target: Target, categories: Categories, *, title: str = "", caption: str = ""
) -> Figure:
    """One scene, four questions: the image, its classes, its objects, and both at once.

    An object has one colour in all panels; a class has that of its first object.

    Args:
        image: float [3, H, W] in 0…1.
        target: with `semantic`; where it has no `panoptic`, three pictures are drawn.
        categories: what the labels mean.
        title: over all.
        caption: under all.
    """
    wanted: dict[str, tuple[Layer, Any]] = {
        "Semantic: which class?": ("semantic", target.semantic),
        "Instance: which objects?": ("instances", target),
        "Panoptic: both": ("panoptic", target.panoptic),
    }
    shown = {name: layer for name, (layer, content) in wanted.items() if content is not None}
    columns = 2 if len(shown) == 3 else len(shown) + 1
    ncols, nrows = panel_grid(len(shown) + 1, columns)
    width = 3.9 if nrows > 1 else 3.3
    size = (width, panel_height(image, width))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    show_pixels(grid.flat[0], image, "Image")
    for axes, (name, layer) in zip(list(grid.flat)[1:], shown.items(), strict=True):
        painted = overlay(
            image,
            target,
            categories,
            layer=layer,
            boxes=False,
            shrink=True,
            side=panel_pixels(ncols, width),
            shades=object_shades(target, layer),
        )
        show_pixels(axes, painted, name)
    return fig


@styled
def score_maps(
    image: Any,
    predictions: Mapping[str, Any],
    truth: Any,
    categories: Categories,
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Label maps of several networks between the image and the truth, with one legend.

    Args:
        image: float [3, H, W] in 0…1.
        predictions: name, such as "32s", → labels [H, W] or scores [C+1, h, w] (arg-max taken,
            shown at their own resolution).
        truth: labels [H, W].
        categories: what the labels mean.
        title: over all.
        caption: under all.
    """
    maps = {name: to_numpy(values) for name, values in predictions.items()}
    maps = {name: v.argmax(0) if v.ndim == 3 else v for name, v in maps.items()}
    maps["Truth"] = to_numpy(truth)
    count = len(maps) + 1
    ncols, nrows = panel_grid(count, count if count <= 4 else 3)
    width = 10 / (ncols + (0.6 if count == ncols * nrows else 0.0))
    fig, grid = figure(
        ncols, nrows, panel=(width, panel_height(image, width)), title=title, caption=caption
    )
    show_pixels(grid[0, 0], image, "Image")
    for axes, (name, labels) in zip(list(grid.flat)[1:], maps.items(), strict=False):
        show_pixels(axes, paint_labels(labels), name)
    switch_off(grid, count)
    everywhere = np.stack([_enlarged(labels, maps["Truth"].shape) for labels in maps.values()])
    if count < ncols * nrows:  # there is a spare panel, with room for more lines
        legend_of_labels(grid.flat[count], everywhere, categories, limit=16, left=0.0)
    else:
        legend_of_labels(grid[0, -1], everywhere, categories, limit=11)
    return fig


def _enlarged(labels: Any, size: tuple[int, ...]) -> Any:
    """The labels [h, w] repeated to [H, W], so that every map counts alike in the legend."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, labels.shape, strict=True))
    return labels[rows[:, None], columns]


@styled
def touching_instances(
    image: Any,
    target: Target,
    semantic: Any,
    categories: Categories,
    label: int,
    *,
    title: str = "Touching objects of one class become one region",
    caption: str | None = None,
) -> Figure:
    """Why a class for every pixel does not count objects.

    Args:
        image: float [3, H, W] in 0…1.
        target: the true objects.
        semantic: [H, W] labels, true or predicted.
        categories: what the labels mean.
        label: the class whose objects are counted.
        title: over all.
        caption: under all; by default the two counts.
    """
    own = target[target.labels == label]
    regions, found = ndimage.label(to_numpy(semantic) == label, structure=np.ones((3, 3)))
    name = short_name(categories.by_label(label).name)
    fig, grid = figure(3, panel=(3.3, panel_height(image, 3.3)), title=title)
    add_caption(
        fig,
        caption or f"{name}: {_count(len(own), 'object')}, {_count(found, 'connected region')}.",
    )
    side = panel_pixels(3, 3.3)
    painted = overlay(
        image, own, categories, layer="instances", boxes=False, names=False, shrink=True, side=side
    )
    show_pixels(grid[0, 0], painted, f"Truth: {_count(len(own), 'object')}")
    only = np.where(to_numpy(semantic) == label, label, 0)
    show_pixels(grid[0, 1], paint_labels(only), f"Pixels labelled {name}")
    flat = np.full((*regions.shape, 3), 235, np.uint8)
    for number in range(1, found + 1):
        flat[regions == number] = rgb(number - 1)
    show_pixels(grid[0, 2], flat, f"Connected: {_count(found, 'region')}")
    return fig


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
