"""Layout of a figure: titles fit their panels and no empty strips remain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine
from matplotlib.transforms import Bbox

SMALLEST = 7.5  # points: a title that would need smaller letters is broken into two lines
LINE = 1.3  # line height of a title, as a multiple of its font size
MARGIN = 2.0  # pixels kept free on both sides of a title


def lay_out(fig: Figure, layout: LayoutEngine) -> None:
    """Run the layout, and give the figure the height that its images need at its width.

    Images keep their aspect ratio, so a panel taller than its image leaves empty strips above and
    below it. Those are cut off, and titles of several lines are given the room they need.
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


class Placing(NamedTuple):
    """The result of a layout.

    Attributes:
        size: (width, height) of the figure in inches.
        panels: for each axes, its place, the font size of its title, and whether that is broken.
        texts: (x, y) of the figure's own texts.
    """

    size: tuple[float, float]
    panels: list[tuple[Bbox, float, bool]]
    texts: list[tuple[float, float]]


def placing_of(fig: Figure) -> Placing:
    """How a figure has been laid out."""
    width, height = fig.get_size_inches()
    panels = [
        (axes.get_position(original=True).frozen(), _points(axes), "\n" in axes.get_title())
        for axes in fig.axes
    ]
    return Placing((width, height), panels, [text.get_position() for text in fig.texts])


def place(fig: Figure, placing: Placing) -> None:
    """Give a figure the layout of one that has the same panels and texts of the same lengths."""
    fig.set_size_inches(*placing.size)
    for axes, (box, points, broken) in zip(fig.axes, placing.panels, strict=True):
        axes.set_position(box)
        if broken:
            axes.set_title(_in_two(axes.get_title()))
        axes.title.set_fontsize(points)
    for text, position in zip(fig.texts, placing.texts, strict=True):
        text.set_position(position)


def _execute(fig: Figure, layout: LayoutEngine) -> None:
    """Run the layout on the full size of the panels, then restore their aspect ratios.

    Otherwise the layout would place titles in the empty strips beside the images.
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
    # Whole pixels: otherwise the same image would be sampled differently at another height.
    fig.set_size_inches(width, round((height + inches) * fig.dpi) / fig.dpi)


def _panels(fig: Figure) -> list[Axes]:
    """The visible panels of the grid, without colour bars."""
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
    """Inches by which the height may shrink before any image becomes smaller."""
    panels = _panels(fig)
    heights: dict[int, float] = {}
    for axes in panels:
        if axes.get_aspect() == "auto":
            return 0.0
        row = _spec(axes).rowspan.start
        heights[row] = max(heights.get(row, 0.0), axes.get_position(original=True).height)
    shares = []
    for axes in panels:
        available, drawn = axes.get_position(original=True).height, axes.get_position().height
        # Each panel loses a share of the height that the figure loses.
        shares.append((available - drawn) * sum(heights.values()) / available)
    return float(min(shares, default=0.0) * fig.get_figheight())


def _fit_titles(fig: Figure) -> None:
    """One font size at which every title stays above its own panel; long titles are broken."""
    titled = [axes for axes in fig.axes if axes.get_title()]
    if not titled:
        return
    wanted = min(_points(axes) for axes in titled)
    sizes = [wanted * min(1.0, _width_ratio(fig, axes, titled)) for axes in titled]
    for axes, size in zip(titled, sizes, strict=True):
        if size < SMALLEST:
            axes.set_title(_in_two(axes.get_title()))
    sizes = [wanted * min(1.0, _width_ratio(fig, axes, titled)) for axes in titled]
    if min(sizes) < wanted:
        for axes in titled:
            axes.title.set_fontsize(max(SMALLEST, min(sizes)))


def _points(axes: Axes) -> float:
    return float(axes.title.get_fontsize())


def _width_ratio(fig: Figure, axes: Axes, neighbours: Iterable[Axes]) -> float:
    """The width available to a title, centred on its panel, divided by the width it needs."""
    renderer = FigureCanvasAgg(fig).get_renderer()
    extent = axes.get_window_extent(renderer)
    centre = (extent.x0 + extent.x1) / 2
    left, right = 0.0, float(fig.bbox.width)
    for other in neighbours:
        box = other.get_window_extent(renderer)
        if box.y0 < extent.y1 and extent.y0 < box.y1:
            if box.x0 >= extent.x1:
                right = min(right, (extent.x1 + box.x0) / 2)
            elif box.x1 <= extent.x0:
                left = max(left, (extent.x0 + box.x1) / 2)
    room = 2 * (min(centre - left, right - centre) - MARGIN)
    return float(room / max(axes.title.get_window_extent(renderer).width, 1.0))


def _in_two(text: str) -> str:
    """A title broken at the space nearest its middle, unless it is already broken."""
    spaces = [i for i, letter in enumerate(text) if letter == " "]
    if "\n" in text or not spaces:
        return text
    at = min(spaces, key=lambda i: abs(i - len(text) / 2))
    return f"{text[:at]}\n{text[at + 1 :]}"
