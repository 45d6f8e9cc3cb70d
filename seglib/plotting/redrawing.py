"""Pictures that follow a slider: one kind of figure, drawn repeatedly.

Most of the time that a figure takes is not for its data: axes are made, a layout measures every
text, letters are drawn one by one, and a small PNG needs a palette. Here axes, layouts and words
are kept, and PNGs are only packed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import ScalarFormatter

from seglib.plotting.layout import Placing, place, placing_of
from seglib.plotting.panels import Figure
from seglib.plotting.png import Bytes, pack_png
from seglib.plotting.recycling import Shelf, recycling
from seglib.plotting.style import STYLE
from seglib.plotting.words import Memory, WordCanvas

# Otherwise matplotlib searches for ticks above each panel to move its title; there are none here.
FIXED_TITLES: Any = {"axes.titley": 1.0}


class Redrawing:
    """Draws the figures of one function, each as `Figure.png` would, but in larger files.

    A figure whose texts are as long as those of an earlier one gets the same layout, so that panels
    and titles may be off by a few pixels.

    Attributes:
        placings: the layouts so far, by `layout_kind`.
    """

    def __init__(self) -> None:
        self._shelf: Shelf = {}
        self._words = Memory()
        self.placings: dict[Hashable, Placing] = {}

    def png(self, draw: Callable[[], Figure]) -> bytes:
        """PNG bytes of the figure that `draw` makes with `panels.figure`; it is used again."""
        return pack_png(self.pixels(draw))

    def pixels(self, draw: Callable[[], Figure]) -> Bytes:
        """The same as uint8 [H, W, 3]."""
        with mpl.rc_context({**STYLE, **FIXED_TITLES}):
            fig = self._arranged(draw)
            canvas = fig.canvas  # kept, because it remembers the sizes of words
            if not isinstance(canvas, WordCanvas):
                canvas = WordCanvas(fig, self._words)
            canvas.draw()
            return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _arranged(self, draw: Callable[[], Figure]) -> Figure:
        """The figure with its layout, which is computed on a new figure only."""
        with recycling(self._shelf):
            fig = draw()
            kind = layout_kind(fig)
            if kind not in self.placings:
                self._shelf.clear()
                fig = draw()
                fig.arrange()
                self.placings[kind] = placing_of(fig)
            else:
                place(fig, self.placings[kind])
        return fig


def layout_kind(fig: Figure) -> Hashable:
    """The properties that determine the layout: the figure's size and the lengths of its texts."""
    lines = tuple(text.get_text().count("\n") for text in fig.texts)
    return (*fig.get_size_inches(), lines, *(_kind_of_axes(axes) for axes in fig.axes))


def _kind_of_axes(axes: Axes) -> Hashable:
    legend = axes.get_legend()
    return (
        _pattern(axes.get_title()),
        axes.title.get_fontsize(),
        _longest(legend.get_texts()) if legend else "",
        _tick_kind(axes) if axes.axison else None,
    )


def _tick_kind(axes: Axes) -> Hashable:
    """The longest tick labels; numbers matter only along y, where their width counts."""
    named = [
        _longest(axis.get_majorticklabels())
        for axis in (axes.xaxis, axes.yaxis)
        if not isinstance(axis.get_major_formatter(), ScalarFormatter)
    ]
    return (*named, axes.get_ylim() if len(axes.get_yticks()) and not named else None)


def _longest(texts: Iterable[Text]) -> str:
    return max((_pattern(text.get_text()) for text in texts), key=len, default="")


def _pattern(text: str) -> str:
    """All digits are equally wide."""
    return re.sub(r"\d", "0", text)
