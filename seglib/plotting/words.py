"""A cache of drawn words: letters take most of the time of a figure that is drawn again.

A word is drawn once into a small picture of its own, which is then only copied. Numbers change from
one figure to the next, so a text is put together from its words and single digits.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from numpy.typing import NDArray

PIECES = re.compile(r"\d|\s+|[^\d\s]+")  # a digit, spaces, or a word
STEPS = 4  # places per pixel at which a piece may begin: more would have to be remembered
LIMIT = 4000  # entries after which all are forgotten, against endless growth


class Stamp(NamedTuple):
    """A drawn piece of text.

    Attributes:
        cover: how much of each pixel is ink, uint8 [H, W], the lowest row first.
        left: pixels from the origin of the text to the first column.
        bottom: pixels from the origin down to the lower edge.
    """

    cover: NDArray[np.uint8]
    left: int
    bottom: int


class Memory:
    """The pieces of text drawn so far, by text, font, direction and place within a pixel."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def get(self, font: FontProperties, *rest: Any) -> Any:
        """The kept value, or None."""
        return self._kept.get((font, *rest))

    def keep(self, value: Any, font: FontProperties, *rest: Any) -> Any:
        """Keep a value, and return it."""
        if len(self._kept) >= LIMIT:
            self._kept.clear()
        self._kept[(font.copy(), *rest)] = value  # a copy, because a title's font may be changed
        return value


class WordCanvas(FigureCanvasAgg):
    """Draws a figure as its base class does, with words up to an eighth of a pixel elsewhere."""

    def __init__(self, fig: Figure, memory: Memory) -> None:
        super().__init__(fig)
        self._memory, self._kind = memory, (0, 0, 0.0)

    def get_renderer(self) -> RendererAgg:
        """The renderer for the present size of the figure."""
        kind = (*self.get_width_height(physical=True), self.figure.dpi)
        if kind != self._kind:
            self.renderer, self._kind = _WordRenderer(*kind, self._memory), kind
        return self.renderer


class _WordRenderer(RendererAgg):
    def __init__(self, width: float, height: float, dpi: float, memory: Memory) -> None:
        super().__init__(width, height, dpi)
        self._memory = memory
        self._text2path = _Outlines(memory)  # matplotlib's name, for words with a light edge

    def draw_text(
        self,
        gc: Any,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        """Draw one line of text with its origin at (x, y) in pixels, y downwards."""
        if ismath or (*gc.get_rgb(), 1.0)[3] * gc.get_alpha() != 1:
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)
            return
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        for piece in PIECES.findall(s):
            if not piece.isspace():
                self._stamp(gc, (x, y), piece, prop, angle)
            step = self._advance(piece, prop)
            x, y = x + step * cos, y - step * sin

    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> Any:
        """The size of a line of text in pixels."""
        key = (prop, s, ismath, "size")
        return self._memory.get(*key) or self._memory.keep(
            super().get_text_width_height_descent(s, prop, ismath), *key
        )

    def _stamp(
        self, gc: Any, origin: tuple[float, float], piece: str, font: FontProperties, angle: float
    ) -> None:
        (column, right), (row, down) = (divmod(round(STEPS * v), STEPS) for v in origin)
        key = (font, piece, angle, right, down)
        stamp = self._memory.get(*key)
        if stamp is None:
            stamp = self._memory.keep(self._draw(piece, font, angle, right, down), *key)
        image = np.empty((*stamp.cover.shape, 4), np.uint8)
        image[..., :3] = [round(255 * channel) for channel in gc.get_rgb()[:3]]
        image[..., 3] = stamp.cover
        self.draw_image(gc, column + stamp.left, int(self.height) - row - stamp.bottom, image)

    def _draw(self, piece: str, font: FontProperties, angle: float, right: int, down: int) -> Stamp:
        width, height, _ = self.get_text_width_height_descent(piece, font, False)
        reach = math.ceil(width + height) + 2
        sheet = RendererAgg(2 * reach, 2 * reach, self.dpi)
        ink = sheet.new_gc()
        ink.set_foreground((0, 0, 0, 1), isRGBA=True)
        sheet.draw_text(ink, reach + right / STEPS, reach + down / STEPS, piece, font, angle)
        cover = np.asarray(sheet.buffer_rgba())[..., 3]
        rows, columns = (np.flatnonzero(cover.any(axis)) for axis in (1, 0))
        if not len(rows):
            return Stamp(np.zeros((1, 1), np.uint8), 0, 0)
        bottom, left = rows[-1] + 1, columns[0]
        part = cover[rows[0] : bottom, left : columns[-1] + 1]
        return Stamp(part[::-1].copy(), int(left) - reach, int(bottom) - reach)

    def _advance(self, piece: str, font: FontProperties) -> float:
        """Pixels from the origin of a piece to that of the next one."""
        known = self._memory.get(font, piece)
        if known is None:
            between, alone = (
                self.get_text_width_height_descent(text, font, False)[0]
                for text in (f"0{piece}0", "00")
            )
            known = self._memory.keep(between - alone, font, piece)
        return float(known)


class _Outlines(TextToPath):
    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def get_text_path(self, prop: FontProperties, s: str, ismath: Any = False, **more: Any) -> Any:
        """The vertices and codes of a text."""
        if any(more.values()):
            return super().get_text_path(prop, s, ismath, **more)
        key = (prop, s, ismath, "outline")
        return self._memory.get(*key) or self._memory.keep(
            super().get_text_path(prop, s, ismath), *key
        )
