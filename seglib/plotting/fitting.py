"""A figure laid out so that its titles fit their panels and no empty strip is left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine

SMALLEST = 7.5  # points: a title that needed a smaller letter is broken into lines instead
LINE = 1.3  # height of a line of a title, in letters
AIR = 2.0  # pixels kept free on both sides of a title


def lay_out(fig: Figure, layout: LayoutEngine) -> None:
    """Run the layout, and give the figure the height that its pictures need at its width.

    Pictures keep their shape, so that a panel higher than its picture leaves a strip above and
    below it: between a picture and its caption, or under everything. The strip is cut off, and
    titles of several lines get the room they take.
    """
    _execute(fig, layout)
    _fit_titles(fig)
    lines = max((axes.get_title().count("\n") for axes in fig.axes), default=0)
    if lines:
        size = max(_points(axes) for axes in fig.axes)
        _grow(fig, lines * LINE * size / 72 * _rows(fig))
        _execute(fig, layout)
    if (spare := _spare_height(fig)) > 1 / fig.dpi:
        _grow(fig, -spare)
        _execute(fig, layout)


def _execute(fig: Figure, layout: LayoutEngine) -> None:
    """Place the panels by their full size.

    Left to itself the layout takes the strip beside a picture for room in which a title fits.
    """
    shapes = {axes: axes.get_aspect() for axes in fig.axes}
    for axes in shapes:
        axes.set_aspect("auto")
    layout.execute(fig)
    for axes, shape in shapes.items():
        axes.set_aspect(shape)
        axes.apply_aspect()


def _grow(fig: Figure, inches: float) -> None:
    width, height = fig.get_size_inches()
    # Whole pixels, or the same picture would be sampled differently at another height.
    fig.set_size_inches(width, round((height + inches) * fig.dpi) / fig.dpi)


def _panels(fig: Figure) -> list[Axes]:
    """The panels of the grid that hold something: colour bars and hidden panels do not count."""
    return [
        axes
        for axes in fig.axes
        if axes.get_subplotspec() is not None and (axes.axison or axes.get_aspect() != "auto")
    ]


def _rows(fig: Figure) -> int:
    return max((_spec(axes).get_gridspec().nrows for axes in _panels(fig)), default=1)


def _spec(axes: Axes) -> Any:
    return axes.get_subplotspec()


def _spare_height(fig: Figure) -> float:
    """Inches by which the figure may shrink until the first picture would become smaller."""
    panels = _panels(fig)
    heights: dict[int, float] = {}
    for axes in panels:
        if axes.get_aspect() == "auto":
            return 0.0
        row = _spec(axes).rowspan.start
        heights[row] = max(heights.get(row, 0.0), axes.get_position(original=True).height)
    shares = []
    for axes in panels:
        given, drawn = axes.get_position(original=True).height, axes.get_position().height
        # Of what the figure loses a panel loses its share of all rows.
        shares.append((given - drawn) * sum(heights.values()) / given)
    return float(min(shares, default=0.0) * fig.get_figheight())


def _fit_titles(fig: Figure) -> None:
    """All titles in one size in which each stays over its own panel, broken where too long."""
    titled = [axes for axes in fig.axes if axes.get_title()]
    if not titled:
        return
    wanted = min(_points(axes) for axes in titled)
    sizes = [wanted * min(1.0, _fill(fig, axes, titled)) for axes in titled]
    for axes, size in zip(titled, sizes, strict=True):
        if size < SMALLEST:
            axes.set_title(_in_two(axes.get_title()))
    sizes = [wanted * min(1.0, _fill(fig, axes, titled)) for axes in titled]
    if min(sizes) < wanted:
        for axes in titled:
            axes.title.set_fontsize(max(SMALLEST, min(sizes)))


def _points(axes: Axes) -> float:
    return float(axes.title.get_fontsize())


def _fill(fig: Figure, axes: Axes, others: Iterable[Axes]) -> float:
    """The room beside a title's centre over the width it takes."""
    renderer = FigureCanvasAgg(fig).get_renderer()
    own = axes.get_window_extent(renderer)
    centre = (own.x0 + own.x1) / 2
    left, right = 0.0, float(fig.bbox.width)
    for other in others:
        box = other.get_window_extent(renderer)
        if box.y0 < own.y1 and own.y0 < box.y1:
            if box.x0 >= own.x1:
                right = min(right, (own.x1 + box.x0) / 2)
            elif box.x1 <= own.x0:
                left = max(left, (own.x0 + box.x1) / 2)
    room = 2 * (min(centre - left, right - centre) - AIR)
    return float(room / max(axes.title.get_window_extent(renderer).width, 1.0))


def _in_two(text: str) -> str:
    """A title broken at the space nearest to its middle; one that is broken already stays."""
    spaces = [i for i, letter in enumerate(text) if letter == " "]
    if "\n" in text or not spaces:
        return text
    at = min(spaces, key=lambda i: abs(i - len(text) / 2))
    return f"{text[:at]}\n{text[at + 1 :]}"
