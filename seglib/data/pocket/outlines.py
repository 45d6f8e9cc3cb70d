"""The outlines of a mask, traced along the edges between pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Corner = int
"""The corner (x, y) between pixels as one number, y * _ROW + x."""

_ROW = 1 << 12


def outlines(mask: NDArray[np.bool_], bbox: list[int]) -> list[list[int]] | None:
    """The corners [x0, y0, x1, y1, …] of each piece's pixel outline, or None if it has holes.

    Follows the edges between pixels from corner to corner, with the object on the right-hand
    side; two pixels that touch only at a corner belong to separate pieces.

    Args:
        mask: bool [H, W].
        bbox: bounding box of the mask, [x, y, width, height].
    """
    x0, y0, width, height = bbox
    padded = np.zeros((height + 2, width + 2), np.int8)
    padded[1:-1, 1:-1] = mask[y0 : y0 + height, x0 : x0 + width]
    across = padded[1:] - padded[:-1]  # [h + 1, w + 2]: edges above each pixel row
    down = (padded[:, 1:] - padded[:, :-1]).T  # [w + 1, h + 2]: edges left of each pixel column
    runs = (
        _runs(across == 1, _ROW, 1),
        _runs(across == -1, _ROW, 1)[:, ::-1],
        _runs(down == -1, 1, _ROW),
        _runs(down == 1, 1, _ROW)[:, ::-1],
    )
    starts, ends = np.concatenate(runs).T.tolist()
    following = dict(zip(starts, ends, strict=True))
    forks = _forks(starts, ends) if len(following) < len(starts) else {}
    polygons = []
    while following:
        ring = np.array(_walk(following, forks))
        x, y = ring & (_ROW - 1), ring // _ROW
        twice_area = x[1:] @ y[:-1] - x[:-1] @ y[1:] + x[0] * y[-1] - x[-1] * y[0]
        if twice_area > 0:  # the opposite direction: the rim of a hole
            return None
        corners = np.empty((len(ring), 2), np.int64)
        corners[:, 0], corners[:, 1] = x + x0, y + y0
        polygons.append(corners.ravel().tolist())
    return polygons


def _runs(edges: NDArray[np.bool_], line: int, step: int) -> NDArray[np.int64]:
    """[N, 2] first and last corner of every straight run of edges; the first column has no edge.

    Corners are `line` apart from one row of `edges` to the next, `step` along it.
    """
    lines, places = (edges[:, 1:] != edges[:, :-1]).nonzero()
    return (lines * line + places * step).reshape(-1, 2)


def _forks(starts: list[Corner], ends: list[Corner]) -> dict[Corner, list[Corner]]:
    """The ends of the two runs that begin at a corner, for every corner where two begin."""
    following: dict[Corner, list[Corner]] = {}
    for start, end in zip(starts, ends, strict=True):
        following.setdefault(start, []).append(end)
    return {corner: choices for corner, choices in following.items() if len(choices) > 1}


def _walk(following: dict[Corner, Corner], forks: dict[Corner, list[Corner]]) -> list[Corner]:
    """Remove one closed ring from the runs and return its corners."""
    here = before = next(iter(following))
    ring: list[Corner] = []
    while here in following:
        if here in forks:
            choices = forks.pop(here)
            after = choices.pop(_right_turn(choices, here, before))
            (following[here],) = choices
        else:
            after = following.pop(here)
        ring.append(here)
        before, here = here, after
    return ring


def _right_turn(choices: list[Corner], here: Corner, before: Corner) -> int:
    """The choice that turns right at a corner shared by two pixels, which keeps them separate."""
    here_y, here_x = divmod(here, _ROW)
    before_y, before_x = divmod(before, _ROW)
    right_x, right_y = before_y - here_y, here_x - before_x
    for i, (y, x) in enumerate(divmod(choice, _ROW) for choice in choices):
        if (x - here_x) * right_x + (y - here_y) * right_y > 0:
            return i
    return 0
