"""Diagrams of boxes and arrows: how data flows through a network, with its shapes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from seglib.errors import SeglibError
from seglib.plotting.panels import Figure, check_some, figure
from seglib.plotting.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, styled

Kind = Literal["data", "layer", "head", "sum", "output"]
SHADES: dict[Kind, str] = {
    "data": GREY,
    "layer": BLUE,
    "head": ORANGE,
    "sum": PURPLE,
    "output": GREEN,
}
WIDTH, HEIGHT = 1.62, 0.72  # of a box
STEP_X, STEP_Y = 2.2, 1.15  # distance between the centres of neighbouring boxes
ROUND = 0.62  # width and height of a sum


@dataclass(frozen=True)
class Block:
    """One box of a diagram.

    Attributes:
        name: written in the box; arrows refer to it.
        shape: a second, smaller line, usually the shape of the output.
        kind: determines the colour.
        at: (column, row) in the diagram; rows count downwards. By default the next column.
    """

    name: str
    shape: str = ""
    kind: Kind = "layer"
    at: tuple[float, float] | None = None


Arrow = tuple[str, str] | tuple[str, str, str]


@styled
def flow_diagram(
    blocks: Sequence[Block],
    arrows: Sequence[Arrow] | None = None,
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Boxes joined by arrows.

    Args:
        blocks: the boxes; their names must differ.
        arrows: (from, to) or (from, to, label) by name; by default from each box to the next.

    Raises:
        SeglibError: no box, two boxes of one name, or an arrow to a name that does not exist.
    """
    check_some(len(blocks), "box")
    places = {b.name: b.at or (float(i), 0.0) for i, b in enumerate(blocks)}
    if len(places) != len(blocks):
        raise SeglibError("two boxes of a diagram share a name")
    if arrows is None:
        names = list(places)
        arrows = list(itertools.pairwise(names))
    columns = max(x for x, _ in places.values()) + 1
    rows = max(y for _, y in places.values()) + 1
    inch = min(0.7, 9.8 / (columns * STEP_X))
    fig, grid = figure(
        panel=(columns * STEP_X * inch, rows * STEP_Y * inch), title=title, caption=caption
    )
    axes = grid[0, 0]
    axes.set_axis_off()
    axes.set(xlim=(-0.5 * STEP_X, (columns - 0.5) * STEP_X))
    axes.set(ylim=((rows - 0.5) * STEP_Y, -0.5 * STEP_Y), aspect="equal")
    for block in blocks:
        _draw_block(axes, block, places[block.name], inch)
    boxes = {b.name: (_size(b), *places[b.name], b.kind == "sum") for b in blocks}
    for arrow in arrows:
        unknown = [name for name in arrow[:2] if name not in places]
        if unknown:
            raise SeglibError(f"an arrow names {unknown[0]!r}, which is not a box of the diagram")
        label = arrow[2] if len(arrow) == 3 else ""
        _draw_arrow(axes, boxes[arrow[0]], boxes[arrow[1]], label, inch)
    return fig


def _draw_block(axes: Axes, block: Block, place: tuple[float, float], inch: float) -> None:
    x, y = place[0] * STEP_X, place[1] * STEP_Y
    shade = SHADES[block.kind]
    round_sum = block.kind == "sum"
    width, height = _size(block)
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={0.3 if round_sum else 0.09}",
            facecolor=to_rgba(shade, 0.14),
            edgecolor=shade,
            linewidth=1.5,
        )
    )
    size = min(9.5, 14 * inch)
    shift = 0.15 if block.shape and not round_sum else 0.0
    name = "+" if round_sum else block.name
    axes.text(x, y - shift, name, ha="center", va="center", fontsize=size, fontweight="bold")
    if block.shape:
        below = (y + 0.48) if round_sum else y + 0.18
        axes.text(x, below, block.shape, ha="center", va="center", fontsize=12 * inch, color=INK)


def _size(block: Block) -> tuple[float, float]:
    return (ROUND, ROUND) if block.kind == "sum" else (WIDTH, HEIGHT)


Placed = tuple[tuple[float, float], float, float, bool]  # size, column, row, whether a sum


def _draw_arrow(axes: Axes, start: Placed, end: Placed, label: str, inch: float) -> None:
    """Straight along a row or column, otherwise around a corner; sums are entered from the side."""
    (w0, h0), column0, row0, _ = start
    (w1, h1), column1, row1, into_sum = end
    x0, y0, x1, y1 = column0 * STEP_X, row0 * STEP_Y, column1 * STEP_X, row1 * STEP_Y
    right, down = (1 if x1 > x0 else -1), (1 if y1 > y0 else -1)
    sideways = y0 == y1 or (into_sum and x0 != x1)
    tail = (x0 + right * w0 / 2, y0) if sideways else (x0, y0 + down * h0 / 2)
    level = y0 == y1 or (x0 != x1 and not into_sum)
    head = (x1 - right * w1 / 2, y1) if level else (x1, y1 - down * h1 / 2)
    style = "arc3"
    if x0 != x1 and y0 != y1:
        style = f"angle,angleA={0 if sideways else 90},angleB={90 if sideways else 0},rad=6"
    axes.add_patch(
        FancyArrowPatch(
            tail,
            head,
            connectionstyle=style,
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=1,
            shrinkB=1,
            color=GREY,
            linewidth=1.3,
        )
    )
    middle = ((tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2)
    text: Any = {"fontsize": min(8.5, 12.5 * inch), "color": GREY}
    if label and not sideways:  # beside the vertical part
        axes.text(x0 + 0.07, middle[1], label, va="center", **text)
    elif label:
        axes.text(middle[0], y0 - 0.08, label, ha="center", va="bottom", **text)
