"""An object placed in the image: its parts in pixels, its silhouette, its colours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.classes import SIZE
from seglib.data.pocket.geometry import Points, rotate
from seglib.data.pocket.raster import FULL, Coverage, bounds, fill_layers
from seglib.data.pocket.shapes import Kind, Part

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pose:
    """Where an object's origin lies (pixels), how large a unit is, and how it is turned.

    `stretch` widens it (and makes it lower) before it is turned.
    """

    x: float
    y: float
    scale: float
    turn: float = 0.0
    flip: bool = False
    stretch: float = 1.0

    def __call__(self, ring: Points) -> Points:
        """From the object's units to pixels."""
        across = -self.stretch if self.flip else self.stretch
        return rotate(ring * (across, 1.0 / self.stretch), self.turn) * self.scale + (
            self.x,
            self.y,
        )

    def outline(self, rings: list[Points]) -> list[Points]:
        """All of them, transformed at once."""
        return as_rings(self(np.concatenate(rings)), rings)


def as_rings(joined: Points, rings: list[Points]) -> list[Points]:
    """The joined points again as rings of these lengths."""
    pieces, start = [], 0
    for ring in rings:
        pieces.append(joined[start : start + len(ring)])
        start += len(ring)
    return pieces


@dataclass
class Cutout:
    """An object drawn at its size on an endless canvas, not yet placed.

    Attributes:
        kind: what it is.
        parts: back to front, in the object's units.
        pose: its origin lies within the pixel (0, 0).
        cover: what it covers; x and y may be negative.
    """

    kind: Kind
    parts: list[Part]
    pose: Pose
    cover: Coverage

    @property
    def width(self) -> int:
        """Of the window, in pixels."""
        return self.cover.values.shape[1]

    def at(self, x: int, y: int, depth: float) -> Sprite:
        """Placed with its origin in pixel (x, y) and cut at the border of the image."""
        x0, y0, _, _ = self.cover.bounds
        left, top = max(0, -(x0 + x)), max(0, -(y0 + y))
        right, bottom = max(left, SIZE - x0 - x), max(top, SIZE - y0 - y)
        values = self.cover.values[top:bottom, left:right]
        shape = Coverage(x0 + x + left, y0 + y + top, values)
        pose = replace(self.pose, x=self.pose.x + x, y=self.pose.y + y)
        return Sprite(self.kind, self.parts, pose, depth, shape, mask_area(self.cover))


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
    full_area: int

    @property
    def mask(self) -> Mask:
        """bool [h, w] in the silhouette's window: pixels covered at least by half."""
        return self.silhouette.values >= FULL // 2

    @property
    def area(self) -> int:
        """Pixels of the mask inside the image."""
        return mask_area(self.silhouette)


def mask_area(cover: Coverage) -> int:
    """Pixels covered at least by half."""
    return int(np.count_nonzero(cover.values >= FULL // 2))


def cut_out(kind: Kind, parts: list[Part], pose: Pose) -> Cutout:
    """Draw the silhouette: the union of the bodies; a hole cuts what lies before it."""
    bodies = [ring for part in parts if part.kind == "body" for ring in part.rings]
    holes = [i for i, part in enumerate(parts) if part.kind == "hole"]
    if not holes:
        outlines = pose.outline(bodies)
        window = bounds([outlines])[0]
        values = fill_layers([outlines], [window])[0]
        return Cutout(kind, parts, pose, Coverage(window[0], window[1], values))
    cut = [ring for i in holes for ring in parts[i].rings]
    over = [r for part in parts[holes[-1] :] if part.kind == "body" for r in part.rings]
    outlines = pose.outline([*bodies, *cut, *over])
    split = len(bodies) + len(cut)
    layers = [outlines[: len(bodies)], outlines[len(bodies) : split], outlines[split:]]
    window = bounds(layers[:1])[0]
    layers = [layer for layer in layers if layer]
    whole, missing, *front = (
        cover.astype(int) for cover in fill_layers(layers, [window] * len(layers))
    )
    if front:
        missing = missing * (FULL - front[0]) // FULL
    values = np.maximum(whole - missing, 0).astype(np.int16)
    return Cutout(kind, parts, pose, Coverage(window[0], window[1], values))
