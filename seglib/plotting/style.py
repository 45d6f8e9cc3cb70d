"""The house style: one palette, one set of sizes, and figures that carry no global state.

Figures are made without pyplot, so nothing lingers between cells, and they show themselves in
a notebook as one small PNG whose bytes depend on the data alone.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.fitting import lay_out
from seglib.plotting.png import Shade, encode_png

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito (2008), "Color universal design": told apart with any common colour vision.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, INK = "#CC79A7", "#56B4E9", "#F0E442", "#262626"
PALETTE: tuple[str, ...] = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, YELLOW, SKY, INK)
GREY, PALE, FAINT = "#6B6B6B", "#D9D9D9", "#F2F2F2"

SEQUENTIAL = "cividis"  # perceptually uniform, and nearly the same to colour-blind eyes
DIVERGING = "PuOr_r"
DPI = 100
PANEL = 2.9  # inches: side of one panel in a grid
MAX_WIDTH = 10.0  # inches: what fits a notebook's column
EDGE = 0.03  # inches: paper kept free on each side of a panel
_HEAVY = 150_000  # bytes; a heavier PNG is reduced to 256 colours

STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 6.0,
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.prop_cycle": cycler(color=list(PALETTE)),
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "hatch.linewidth": 0.7,
    "image.cmap": SEQUENTIAL,
    "svg.hashsalt": "seglib",
}


class Figure(MatplotlibFigure):
    """A matplotlib figure outside pyplot that displays itself as a small PNG.

    Attributes:
        heavy: bytes from which the PNG is reduced to 256 colours.
    """

    heavy = _HEAVY

    def pixels(self) -> NDArray[np.uint8]:
        """The drawn figure: uint8 [H, W, 3]."""
        with mpl.rc_context(STYLE):
            canvas = FigureCanvasAgg(self)
            if (layout := self.get_layout_engine()) is not None:
                # Each run of the layout moves things by a fraction of a pixel: do it once.
                lay_out(self, layout)
                self.set_layout_engine("none")
            canvas.draw()
            return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def png(self) -> bytes:
        """The figure as PNG bytes without metadata; the same figure gives the same bytes."""
        pixels = self.pixels()
        data = encode_png(pixels)
        return data if len(data) <= self.heavy else encode_png(pixels, 256, _marks())

    @property
    def title(self) -> str:
        """The words a reader sees first: the figure's title, else its panels' titles."""
        titles = (
            [self.get_suptitle()] if self.get_suptitle() else [a.get_title() for a in self.axes]
        )
        return " | ".join(" ".join(t.split()) for t in titles if t) or "figure"

    def __repr__(self) -> str:
        width, height = (round(inches * self.dpi) for inches in self.get_size_inches())
        return f"<Figure {width}x{height}: {self.title}>"

    __str__ = __repr__

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/png": base64.b64encode(self.png()).decode(), "text/plain": repr(self)}


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under the house style and leave matplotlib's settings alone."""

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return draw


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
        ncols: panels in a row.
        nrows: rows of panels.
        panel: (width, height) of one panel in inches, or one number for both; the whole is
            scaled down to the width of a notebook's column.
        title: over everything.
        caption: under everything, what to see in it.
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
    layout = ConstrainedLayoutEngine(w_pad=EDGE, wspace=0.0)
    fig = Figure(figsize=size, dpi=DPI, layout=layout)
    axes = fig.subplots(nrows, ncols, squeeze=False, width_ratios=widths, **subplots)
    if title:
        fig.suptitle(title)
    if caption:
        add_caption(fig, caption)
    return fig, axes


def add_caption(fig: Figure, text: str) -> None:
    """One or two quiet lines under the figure."""
    fig.supxlabel(text, fontsize=9, color=GREY, fontweight="normal")


def legend_beside(fig: Figure, axes: Axes, *entries: Any) -> None:
    """A legend to the right of the axes, where no curve comes, and the paper that it needs.

    Args:
        fig: made wider.
        axes: its named lines and bars are explained.
        entries: handles and labels as `Axes.legend` takes them; by default all, as drawn.
    """
    legend = axes.legend(*entries, loc="center left", bbox_to_anchor=(1.01, 0.5))
    letters = max(len(text.get_text()) for text in legend.get_texts())
    fig.set_figwidth(min(MAX_WIDTH, fig.get_figwidth() + 0.5 + 0.075 * letters))


def check_some(count: int, what: str) -> None:
    """SeglibError where there is none of what a picture shows."""
    if count < 1:
        raise SeglibError(f"nothing to draw: give at least one {what}")


def panel_grid(count: int, columns: int | None = None) -> tuple[int, int]:
    """(columns, rows) for `count` panels; SeglibError for none."""
    check_some(count, "image")
    columns = min(count, columns or (count if count <= 4 else 4))
    return columns, -(-count // columns)


def switch_off(grid: NDArray[Any], used: int) -> None:
    """Hide the panels of a grid after the first `used`."""
    for axes in list(grid.flat)[used:]:
        axes.set_axis_off()


def bare(axes: Axes) -> Axes:
    """Take ticks and frame away, as suits a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes


@functools.cache
def color(index: int) -> str:
    """Colour number `index`: seven of the palette, then darker and lighter turns, up to 35."""
    base = np.array(to_rgb(PALETTE[:7][index % 7]))
    turns = (base, base * 0.55, base * 0.45 + 0.55, base * 0.78, base * 0.72 + 0.28)
    turned = turns[(index // 7) % len(turns)]
    return to_hex(tuple(turned.tolist()))


def rgb(index: int) -> Shade:
    """`color(index)` as three bytes."""
    return _bytes(color(index))


@functools.cache
def _marks() -> tuple[Shade, ...]:
    """The shades that lines, dots and letters are drawn in."""
    return tuple(_bytes(shade) for shade in (*PALETTE, GREY, PALE))


def _bytes(shade: str) -> Shade:
    red, green, blue = (round(255 * channel) for channel in to_rgb(shade))
    return red, green, blue


def ink_on(background: Any) -> str:
    """Black or white, whichever reads better on a colour (WCAG relative luminance)."""
    channels: NDArray[np.float64] = np.asarray(to_rgb(background), dtype=np.float64)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "white" if float(linear @ (0.2126, 0.7152, 0.0722)) < 0.2 else INK
