"""Figures and their panels, made without pyplot so that nothing lingers between cells.

A figure shows itself in a notebook as one small PNG whose bytes depend on the data alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.canvas import as_rgb
from seglib.plotting.layout import lay_out
from seglib.plotting.pictures import add_picture
from seglib.plotting.png import encode_png, is_chart
from seglib.plotting.recycling import recycled
from seglib.plotting.style import DPI, EDGE, GREY, MAX_WIDTH, PANEL, STYLE, mark_colors, styled

HEAVY = 150_000  # bytes: a larger PNG is reduced to 256 colours
LIGHT = 40_000  # the same for a kind of figure that a lesson shows often
FINE_LIMIT = 60_000  # bytes: up to this size, a notebook shows the PNG of twice the resolution


class Figure(MatplotlibFigure):
    """A matplotlib figure outside pyplot that displays itself as a small PNG.

    Attributes:
        heavy: size in bytes above which the PNG is reduced to 256 colours.
    """

    heavy = HEAVY

    def pixels(self, fineness: int = 1) -> NDArray[np.uint8]:
        """The rendered figure, uint8 [H, W, 3], or [2H, 2W, 3] for a fineness of 2."""
        dpi = self.dpi
        with mpl.rc_context(STYLE):
            canvas = FigureCanvasAgg(self)
            self.arrange()  # at its own resolution, so that a finer figure has the same layout
            width, height = canvas.get_width_height()
            self.set_dpi(fineness * dpi)
            try:
                canvas.draw()
                drawn = np.asarray(canvas.buffer_rgba())
            finally:
                self.set_dpi(dpi)
            # Without the half pixel that a figure of 100.5 pixels has at twice the resolution.
            return drawn[: fineness * height, : fineness * width, :3].copy()

    def arrange(self) -> None:
        """Lay the panels and titles out, inside the house style."""
        if (layout := self.get_layout_engine()) is not None:
            # Each run of the layout moves things by a fraction of a pixel, so it runs once.
            lay_out(self, layout)
            self.set_layout_engine("none")

    def png(self) -> bytes:
        """The figure as PNG bytes without metadata; the same figure gives the same bytes."""
        pixels = self.pixels()
        data = encode_png(pixels)
        return data if len(data) <= self.heavy else encode_png(pixels, 256, mark_colors())

    def fine_png(self) -> bytes | None:
        """The PNG of twice the resolution, or None if it has more than `FINE_LIMIT` bytes.

        A chart is reduced to 256 colours if that keeps it below the limit.
        """
        pixels = self.pixels(2)
        data = encode_png(pixels)
        if len(data) > FINE_LIMIT and is_chart(pixels):
            data = encode_png(pixels, 256, mark_colors())
        return data if len(data) <= FINE_LIMIT else None

    @property
    def title(self) -> str:
        """The figure's title or, without one, the titles of its panels."""
        titles = (
            [self.get_suptitle()] if self.get_suptitle() else [a.get_title() for a in self.axes]
        )
        return " | ".join(" ".join(t.split()) for t in titles if t) or "figure"

    def __repr__(self) -> str:
        width, height = (round(inches * self.dpi) for inches in self.get_size_inches())
        return f"<Figure {width}x{height}: {self.title}>"

    __str__ = __repr__

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """The PNG, at twice the resolution if that stays small, and its width in a notebook."""
        png, metadata = self.png(), {}
        if len(png) <= FINE_LIMIT and (fine := self.fine_png()) is not None:
            # Without a height: a narrow window reduces the width, and the height must follow.
            png, metadata = fine, {"image/png": {"width": self.canvas.get_width_height()[0]}}
        data = {"image/png": base64.b64encode(png).decode(), "text/plain": repr(self)}
        return data, metadata


@styled
def figure(
    ncols: int = 1,
    nrows: int = 1,
    *,
    panel: tuple[float, float] | float = PANEL,
    title: str = "",
    caption: str = "",
    widths: list[float] | None = None,
    **subplots: Any,
) -> tuple[Figure, NDArray[Any]]:
    """An empty figure of `nrows` x `ncols` panels in the house style.

    Args:
        ncols: panels per row.
        nrows: rows of panels.
        panel: (width, height) of one panel in inches, or one number for both. A figure wider
            than a notebook's column is scaled down.
        title: text above the panels.
        caption: text below the panels: what the figure shows.
        widths: relative widths of the columns.
        subplots: further arguments of `Figure.subplots`.

    Returns:
        (figure, [nrows, ncols] array of Axes).

    Raises:
        SeglibError: no panel.
    """
    check_some(ncols * nrows, "panel")
    width, height = (panel, panel) if isinstance(panel, (int, float)) else panel
    shrink = min(1.0, MAX_WIDTH / (width * ncols))
    extra = (0.35 if title else 0.0) + (0.3 + 0.16 * caption.count("\n") if caption else 0.0)
    size = (width * ncols * shrink, (height * shrink + 0.3) * nrows + extra)

    def new() -> tuple[Figure, NDArray[Any]]:
        layout = ConstrainedLayoutEngine(w_pad=EDGE, wspace=0.0)
        fig = Figure(figsize=size, dpi=DPI, layout=layout)
        return fig, fig.subplots(nrows, ncols, squeeze=False, width_ratios=widths, **subplots)

    kind = (size, nrows, ncols, str(widths), str(subplots), bool(title), bool(caption))
    fig, axes = recycled(kind, new)
    fig.set_size_inches(*size)
    if title:
        fig.suptitle(title)
    if caption:
        add_caption(fig, caption)
    return fig, axes


def image_panels(
    image: Any,
    count: int,
    *,
    columns: int | None = None,
    panel: float = PANEL,
    title: str = "",
    caption: str = "",
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels that fit an image, by default at most four per row; its panels.

    Raises:
        SeglibError: `count` is 0, or `image` is not one that `as_rgb` accepts.
    """
    ncols, nrows = panel_grid(count, columns)
    size = (panel, panel_height(image, panel))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    switch_off(grid, count)
    return fig, list(grid.flat)[:count]


def panel_grid(count: int, columns: int | None = None) -> tuple[int, int]:
    """(columns, rows) for `count` panels; SeglibError for none."""
    check_some(count, "image")
    columns = min(count, columns or (count if count <= 4 else 4))
    return columns, -(-count // columns)


def panel_height(image: Any, width: float) -> float:
    """Height in inches of a panel `width` inches wide that fits the image."""
    height, columns = as_rgb(image).shape[:2]
    return width * min(1.15, height / columns)


def panel_pixels(columns: int, width: float) -> int:
    """Width of a panel in pixels; overlays are painted at that size so that text stays sharp."""
    return round((min(width, MAX_WIDTH / columns) - 2 * EDGE) * DPI)


def check_some(count: int, what: str) -> None:
    """SeglibError if there is nothing to draw."""
    if count < 1:
        raise SeglibError(f"nothing to draw: give at least one {what}")


def switch_off(grid: NDArray[Any], used: int) -> None:
    """Hide the panels of a grid after the first `used`."""
    for axes in list(grid.flat)[used:]:
        axes.set_axis_off()


def bare(axes: Axes) -> Axes:
    """Remove ticks and frame, as suits an image."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes


def show_pixels(axes: Axes, pixels: Any, title: str = "") -> Axes:
    """Put one image on bare axes; the pixels of a small image stay sharp squares."""
    drawn = as_rgb(pixels)
    smooth = "antialiased" if max(drawn.shape) > 200 else "nearest"
    add_picture(bare(axes), drawn, interpolation=smooth)
    axes.set_title(title)
    return axes


def mark_point(axes: Axes, x: float, y: float, shade: str, size: float) -> None:
    """A cross with a light edge; `size` in points."""
    axes.plot(x, y, "+", color="white", markersize=size + 2, markeredgewidth=4)
    axes.plot(x, y, "+", color=shade, markersize=size, markeredgewidth=2)


def rectangle(corners: Any, **style: Any) -> Rectangle:
    """The box (x0, y0, x1, y1) as a matplotlib patch."""
    x0, y0, x1, y1 = corners
    return Rectangle((x0, y0), x1 - x0, y1 - y0, **style)


def add_caption(fig: Figure, text: str) -> None:
    """One or two lines in small grey letters below the figure."""
    fig.supxlabel(text, fontsize=9, color=GREY, fontweight="normal")


def legend_beside(fig: Figure, axes: Axes, *entries: Any) -> None:
    """A legend to the right of the axes, clear of every curve; the figure is widened for it.

    Args:
        fig: the figure to widen.
        axes: whose labelled lines and bars the legend explains.
        entries: handles and labels as `Axes.legend` takes them; by default all labelled ones.
    """
    legend = axes.legend(*entries, loc="center left", bbox_to_anchor=(1.01, 0.5))
    letters = max(len(text.get_text()) for text in legend.get_texts())
    fig.set_figwidth(min(MAX_WIDTH, fig.get_figwidth() + 0.5 + 0.075 * letters))


def legend_below(
    fig: Figure,
    shades: Mapping[str, str],
    *,
    dashed: tuple[str, ...] = (),
    dotted: tuple[str, ...] = (),
    columns: int = 4,
) -> None:
    """A legend of colours, name → colour, below the panels: lines, dashed lines, single dots."""
    styles: dict[str, Any] = {name: {"linestyle": "--"} for name in dashed}
    styles |= {name: {"linestyle": "", "marker": "o"} for name in dotted}
    handles = [
        Line2D([], [], color=shade, label=name, **styles.get(name, {}))
        for name, shade in shades.items()
    ]
    rows = -(-len(handles) // columns)  # as even as possible
    fig.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // rows))
