"""Where the name of a mask is written: at its largest piece, in the widest free place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import ndimage

from seglib.plotting.canvas import Canvas, search_step, to_numpy
from seglib.plotting.strokes import RGB, Bits, occupied

ROOMY = 4  # a piece of this many times the area of its name has the name inside


def name_mask(canvas: Canvas, text: str, bits: Bits, color: RGB, box: Any = None) -> bool:
    """Write the name of a mask [H, W] of the canvas's size; False if there was no room for it.

    A large piece has the name inside, a small one beside it. Where the box of the mask is drawn,
    the name is at the box, unless stray pixels stretch the box to twice the area of the piece.

    Args:
        canvas: the canvas to write on.
        text: the name.
        bits: bool [H, W].
        color: the colour behind the name.
        box: (x0, y0, x1, y1) in pixels of the image, if it is drawn.
    """
    step = search_step(bits)
    piece, (top, left) = largest_piece(bits[::step, ::step])
    if not piece.any():
        return box is not None and canvas.tag(text, box, color)
    rows, columns = (step * length for length in piece.shape)
    x, y = step * left / canvas.across, step * top / canvas.down
    bounds = (x, y, x + columns / canvas.across, y + rows / canvas.down)
    if box is not None:
        return canvas.tag(text, bounds if _area(box) > 2 * _area(bounds) else box, color)
    width, height = canvas.tag_size(text)
    if step**2 * piece.sum() >= ROOMY * width * height:
        for row, column in _widest_places(piece, max(1, round(height / step / 2))):
            if canvas.tag_at(text, (step * (top + row), step * (left + column)), color):
                return True
    return canvas.tag(text, bounds, color)


def largest_piece(bits: Bits) -> tuple[Bits, tuple[int, int]]:
    """The largest connected piece of a mask, cut out, and the row and column of its corner."""
    pieces, count = ndimage.label(bits)
    largest = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()) if count else bits
    rows, columns = occupied(largest, margin=0)
    return largest[rows, columns], (rows.start, columns.start)


def _widest_places(piece: Bits, spacing: int) -> Iterator[tuple[int, int]]:
    """Places (row, column) of a piece, the one farthest from its edge first, then a grid's."""
    depth = ndimage.distance_transform_edt(np.pad(piece, 1))[1:-1, 1:-1]
    yield divmod(int(depth.argmax()), piece.shape[1])
    coarse = depth[::spacing, ::spacing]
    for place in np.argsort(-coarse, axis=None, kind="stable")[: np.count_nonzero(coarse)]:
        row, column = divmod(int(place), coarse.shape[1])
        yield spacing * row, spacing * column


def _area(corners: Any) -> float:
    x0, y0, x1, y1 = (float(value) for value in to_numpy(corners))
    return (x1 - x0) * (y1 - y0)
