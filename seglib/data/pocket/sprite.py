"""An object placed in the image: its parts in pixels, its silhouette, its colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.classes import SIZE
from seglib.data.pocket.geometry import Points, rotate
from seglib.data.pocket.raster import FULL, Coverage, fill
from seglib.data.pocket.shapes import Kind, Part

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pose:
    """Where an object's origin lies (pixels), how large a unit is, and how it is turned."""

    x: float
    y: float
    scale: float
    turn: float = 0.0
    flip: bool = False

    def __call__(self, ring: Points) -> Points:
        """From the object's units to pixels."""
        if self.flip:
            ring = ring * (-1.0, 1.0)
        return rotate(ring, self.turn) * self.scale + (self.x, self.y)

    def outline(self, rings: list[Points]) -> list[Points]:
        """All of them, transformed at once."""
        joined = self(np.concatenate(rings))
        return np.split(joined, np.cumsum([len(ring) for ring in rings])[:-1].tolist())


@dataclass
class Sprite:
    """One placed object.

    Attributes:
        kind: what it is.
        parts: back to front, in the object's units.
        pose: where it is.
        depth: sprites of greater depth value lie in front.
        silhouette: what it covers of the image.
        full_area: pixels it would cover on an endless canvas.
    """

    kind: Kind
    parts: list[Part]
    pose: Pose
    depth: float
    silhouette: Coverage
    full_area: float

    @property
    def mask(self) -> Mask:
        """bool [h, w] in the silhouette's window: pixels covered at least by half."""
        return self.silhouette.values >= FULL // 2

    @property
    def area(self) -> int:
        """Pixels of the mask inside the image."""
        return int(self.mask.sum())


def unit_area(parts: list[Part]) -> float:
    """Area of the silhouette in square units, from one small drawing."""
    (x0, y0), (x1, y1) = extent(parts)
    middle, scale = SIZE / 2, 20.0
    pose = Pose(middle - scale / 2 * (x0 + x1), middle - scale / 2 * (y0 + y1), scale)
    return int(silhouette(parts, pose).values.sum()) / FULL / scale**2


def extent(parts: list[Part]) -> tuple[list[float], list[float]]:
    """Least and greatest (x, y) of the body, in units."""
    rings = np.concatenate([ring for part in parts if part.kind == "body" for ring in part.rings])
    return rings.min(axis=0).tolist(), rings.max(axis=0).tolist()


def silhouette(parts: list[Part], pose: Pose) -> Coverage:
    """Union of the bodies; a hole cuts what lies before it in the list."""
    whole = fill(
        pose.outline([r for part in parts if part.kind == "body" for r in part.rings]), SIZE
    )
    holes = [i for i, part in enumerate(parts) if part.kind == "hole"]
    if not holes or whole.empty:
        return whole
    cut = fill(pose.outline([r for i in holes for r in parts[i].rings]), SIZE)
    missing = aligned(cut, whole)
    over = [r for part in parts[holes[-1] :] if part.kind == "body" for r in part.rings]
    if over:
        front = aligned(fill(pose.outline(over), SIZE), whole)
        missing = missing * (FULL - front) // FULL
    return Coverage(whole.x, whole.y, np.maximum(whole.values - missing, 0))


def aligned(part: Coverage, whole: Coverage) -> NDArray[np.int32]:
    """The part's coverage in the window of the whole; zero outside the part's own."""
    out = np.zeros_like(whole.values)
    if part.empty or whole.empty:
        return out
    (height, width), (h, w) = out.shape, part.values.shape
    y0, x0 = max(part.y, whole.y), max(part.x, whole.x)
    y1, x1 = min(part.y + h, whole.y + height), min(part.x + w, whole.x + width)
    if y1 > y0 and x1 > x0:
        out[y0 - whole.y : y1 - whole.y, x0 - whole.x : x1 - whole.x] = part.values[
            y0 - part.y : y1 - part.y, x0 - part.x : x1 - part.x
        ]
    return out


def place(kind: Kind, parts: list[Part], pose: Pose, depth: float, area: float) -> Sprite:
    """A sprite whose silhouette is drawn; `area` is unit_area(parts)."""
    shape = silhouette(parts, pose)
    return Sprite(kind, parts, pose, depth, shape, area * pose.scale**2)
