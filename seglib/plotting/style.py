"""The house style: one palette, one set of sizes, and matplotlib's settings for every figure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.colors import to_hex, to_rgb
from numpy.typing import NDArray

from seglib.plotting.png import Shade

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito (2008), "Color universal design": distinct for all common types of colour vision.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, INK = "#CC79A7", "#56B4E9", "#F0E442", "#262626"
PALETTE: tuple[str, ...] = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, YELLOW, SKY, INK)
GREY, PALE = "#6B6B6B", "#D9D9D9"
BROWN = "#753400"  # a dark vermilion, for figures that need more colours than the palette has
# For flat label maps of up to 16 classes: after Trubetskoy, "List of 20 simple, distinct colors"
# (2017), in an order in which the scenery of Pocket COCO, the last four, has natural hues.
MAP_PALETTE: tuple[str, ...] = (
    "#F032E6", "#F58231", "#469990", "#800000", "#FABED4", "#FFE119", "#911EB4", "#E6194B",
    "#9A6324", "#FFD8B1", "#808000", "#262626", "#A9A9A9", "#3A62C4", "#A8DCF5", "#6DC067",
)  # fmt: skip

SEQUENTIAL = "cividis"  # perceptually uniform, and looks much the same to colour-blind readers
DIVERGING = "PuOr_r"
DPI = 100
PANEL = 2.9  # inches: side of one panel in a grid
MAX_WIDTH = 10.0  # inches: the width of a notebook's column
EDGE = 0.03  # inches: margin on each side of a panel

STYLE: Any = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters on every machine
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


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function in the house style, leaving matplotlib's own settings unchanged."""

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return draw


@functools.cache
def color(index: int) -> str:
    """Colour number `index`: seven of the palette, then darker and lighter variants, 35 in all."""
    base = np.array(to_rgb(PALETTE[:7][index % 7]))
    variants = (base, base * 0.55, base * 0.45 + 0.55, base * 0.78, base * 0.72 + 0.28)
    return to_hex(tuple(variants[(index // 7) % len(variants)].tolist()))


def rgb(index: int) -> Shade:
    """`color(index)` as three bytes."""
    return as_bytes(color(index))


def as_bytes(shade: str) -> Shade:
    """A colour such as "#0072B2" as (red, green, blue) in 0…255."""
    red, green, blue = (round(255 * channel) for channel in to_rgb(shade))
    return red, green, blue


@functools.cache
def mark_colors() -> tuple[Shade, ...]:
    """The colours of lines, markers and text, which a PNG of fewer colours must keep."""
    return tuple(as_bytes(shade) for shade in (*PALETTE, GREY, PALE, BROWN))


def ink_on(background: Any) -> str:
    """Black or white, whichever reads better on a colour (WCAG relative luminance)."""
    channels: NDArray[np.float64] = np.asarray(to_rgb(background), dtype=np.float64)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "white" if float(linear @ (0.2126, 0.7152, 0.0722)) < 0.2 else INK
