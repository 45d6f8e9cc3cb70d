"""The course's networks as diagrams: VGG, ResNet, feature pyramid, FCN."""

from __future__ import annotations

import itertools
from typing import Literal

from seglib.errors import SeglibError
from seglib.plotting.diagrams import Arrow, Block, flow_diagram
from seglib.plotting.panels import Figure


def vgg_diagram(size: int = 224) -> Figure:
    """VGG-16's five stages and its classifier (Simonyan and Zisserman 2015)."""
    names = ("2 × conv 3×3", "2 × conv", "3 × conv", "3 × conv ", "3 × conv  ")
    stages = [
        Block(name, f"{width} × {size >> i} × {size >> i}", at=(i + 1.0, 0))
        for i, (name, width) in enumerate(zip(names, (64, 128, 256, 512, 512), strict=True))
    ]
    head = Block("3 × linear", "1000 scores", "output", (6, 0))
    joints: list[Arrow] = [("image", stages[0].name)]
    joints += [(a.name, b.name, "pool") for a, b in itertools.pairwise(stages)]
    return flow_diagram(
        [Block("image", f"3 × {size} × {size}", "data", (0, 0)), *stages, head],
        [*joints, (stages[-1].name, head.name, "pool")],
        title="VGG-16: small kernels; pooling halves the size after each stage",
    )


def residual_diagram() -> Figure:
    """A residual block, whose layers learn what to add (He et al. 2016, figure 2)."""
    chain = [
        Block("x", "C × H × W", "data", (0, 0)),
        Block("conv 3×3 ", "norm, ReLU", at=(1, 0)),
        Block("conv 3×3", "norm", at=(2, 0)),
        Block("sum", "", "sum", (3, 0)),
        Block("ReLU", "F(x) + x", "output", (4, 0)),
        Block("shortcut", "x, or conv 1×1", "data", (1.5, 1)),
    ]
    arrows = [(a.name, b.name) for a, b in itertools.pairwise(chain[:5])]
    return flow_diagram(
        chain,
        [*arrows, ("x", "shortcut"), ("shortcut", "sum")],
        title="A residual block",
        caption="The layers learn the difference F(x); the shortcut carries x past them.",
    )


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
        caption="Stage Ck has stride 2ᵏ: its height and width are the image's divided by 2ᵏ.",
    )


def fpn_diagram(size: int = 128, channels: int = 256) -> Figure:
    """A feature pyramid: bottom-up, top-down and lateral connections (Lin et al. 2017, fig. 3)."""
    blocks = [Block("image", f"3 × {size} × {size}", "data", (0, 0))]
    arrows: list[Arrow] = [("image", "C2", "÷4")]
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
        caption="Each level is upsampled and added to the lateral 1×1 convolution; a 3×3 follows.",
    )


def fcn_diagram(
    variant: Literal["32s", "16s", "8s"] = "8s", size: int = 128, classes: str = "C+1"
) -> Figure:
    """FCN: score maps at strides 32, 16 and 8, upsampled and added (Long et al. 2015, figure 3)."""
    steps = {"32s": (32,), "16s": (32, 16), "8s": (32, 16, 8)}
    if variant not in steps:
        raise SeglibError(f"no FCN variant {variant!r}: choose 32s, 16s or 8s")
    blocks = [Block("image", f"3 × {size} × {size}", "data", (0, 0))]
    for column, (name, stride) in enumerate((("pool3", 8), ("pool4", 16), ("pool5", 32)), 1):
        blocks.append(Block(name, f"{size // stride} × {size // stride}", "layer", (column, 0)))
    blocks.append(Block("conv6, conv7", f"{size // 32} × {size // 32}", "layer", (4, 0)))
    skips = len(steps[variant]) > 1
    way_up = 2.2 if skips else 1.15  # the row in which the scores are enlarged and added
    blocks.append(Block("score32", f"{classes} × {size // 32}²", "head", (4, way_up)))
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
            total = f"sum {stride}"  # drawn as a plus
            blocks.append(Block(name, f"{classes} × {size // stride}²", "head", (column, 1.15)))
            blocks.append(Block(total, "", "sum", (column, way_up)))
            arrows += [(source, name, "1×1"), (name, total), (last, total, "×2, crop")]
            last = total
    stride = steps[variant][-1]
    enlarged = f"×2 and ×{stride} are transposed convolutions"
    enlarged = enlarged if skips else f"×{stride} is a transposed convolution"
    beside = 1.15 if skips else 2.2  # the row of the labels, next to that of the logits
    blocks.append(Block("logits", f"{classes} × {size}²", "head", (0, way_up)))
    blocks.append(Block("labels", f"{size} × {size}", "output", (0, beside)))
    arrows += [(last, "logits", f"×{stride}, crop"), ("logits", "labels", "arg-max")]
    return flow_diagram(
        blocks,
        arrows,
        title=f"FCN-{variant}",
        caption=f"Scores of {classes} classes; {enlarged}.",
    )
