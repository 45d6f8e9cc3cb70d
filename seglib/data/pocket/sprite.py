"""Objects on their own and placed in the image: pose, parts and silhouette."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.classes import SIZE
from seglib.data.pocket.geometry import Points, rotate
from seglib.data.pocket.raster import (
    FULL,
    Coverage,
    Outlines,
    Windows,
    bounds,
    fill_layers,
    on_grid,
)
from seglib.data.pocket.shapes import Kind, Part

Mask = NDArray[np.bool_]
Index = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True)
class Pose:
    """The position of an object's origin in pixels, its scale and its rotation.

    `stretch` makes the object wider and lower before it is turned.
    """

    x: float
    y: float
    scale: float
    turn: float = 0.0
    flip: bool = False
    stretch: float = 1.0

    def __call__(self, ring: Points) -> Points:
        """Convert points from the object's units to pixels."""
        across = -self.stretch if self.flip else self.stretch
        turned = rotate(ring * np.array((across, 1.0 / self.stretch)), self.turn)
        turned *= self.scale
        turned += np.array((self.x, self.y))
        return turned


@dataclass
class Cutout:
    """An object at its size on an unlimited canvas, not yet placed.

    Many are made and few can be placed, so the silhouette is only computed when it is needed.

    Attributes:
        kind: the kind of object.
        parts: back to front, in the object's units.
        pose: puts the origin in the pixel (0, 0).
    """

    kind: Kind
    parts: list[Part]
    pose: Pose

    @property
    def width(self) -> int:
        """Width of the window in pixels."""
        return int(self._window[2, 0] - self._window[0, 0])

    @property
    def height(self) -> int:
        """Height of the window in pixels."""
        return int(self._window[3, 0] - self._window[1, 0])

    @cached_property
    def cover(self) -> Coverage:
        """The covered pixels; x and y may be negative. A hole cuts the parts listed before it."""
        layers = len(self._outlines.layer_start)
        whole, *others = fill_layers(self._outlines, self._window.repeat(layers, axis=1))
        if others:
            missing, *front = others
            for cover in front:
                missing = missing.astype(np.int32) * (FULL - cover) // FULL
            whole = np.maximum(whole - missing, 0).astype(np.int16)
        return Coverage(int(self._window[0, 0]), int(self._window[1, 0]), whole)

    @cached_property
    def mask(self) -> Mask:
        """bool [h, w] in the window: pixels that are at least half covered."""
        return self.cover.values >= FULL // 2

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    def at(self, x: int, y: int, depth: float) -> Sprite:
        """The object placed with its origin in pixel (x, y)."""
        return Sprite(self, x, y, depth)

    @cached_property
    def _outlines(self) -> Outlines:
        """The layers to fill: the bodies and, if there are holes, these and the bodies in front."""
        bodies = [ring for part in self.parts if part.kind == "body" for ring in part.rings]
        holes = [i for i, part in enumerate(self.parts) if part.kind == "hole"]
        layers = [bodies]
        if holes:
            front = [part for part in self.parts[holes[-1] :] if part.kind == "body"]
            layers.append([ring for i in holes for ring in self.parts[i].rings])
            layers.append([ring for part in front for ring in part.rings])
        layers = [layer for layer in layers if layer]
        return on_grid(layers, self.pose(np.concatenate([r for layer in layers for r in layer])))

    @cached_property
    def _window(self) -> Windows:
        """[4, 1], the window around the bodies."""
        return bounds(self._outlines)[:, :1]


@dataclass
class Sprite:
    """A placed object, cut at the border of the image.

    Attributes:
        cutout: the object.
        x, y: the pixel that contains its origin.
        depth: sprites with a greater depth are in front.
    """

    cutout: Cutout
    x: int
    y: int
    depth: float

    @property
    def kind(self) -> Kind:
        """The kind of object."""
        return self.cutout.kind

    @property
    def parts(self) -> list[Part]:
        """The parts, back to front, in the object's units."""
        return self.cutout.parts

    @property
    def foot(self) -> tuple[float, float]:
        """x and y of its origin, in pixels."""
        return self.cutout.pose.x + self.x, self.cutout.pose.y + self.y

    @cached_property
    def pose(self) -> Pose:
        """The pose in the image."""
        return replace(self.cutout.pose, x=self.foot[0], y=self.foot[1])

    @property
    def window(self) -> Index:
        """Index of the window in the image."""
        return self._frame[0]

    @cached_property
    def silhouette(self) -> Coverage:
        """The covered pixels of the image."""
        (rows, columns), inside = self._frame
        return Coverage(columns.start, rows.start, self.cutout.cover.values[inside])

    @cached_property
    def mask(self) -> Mask:
        """bool [h, w] in the silhouette's window: pixels that are at least half covered."""
        return self.cutout.mask[self._frame[1]]

    @cached_property
    def area(self) -> int:
        """Pixels of the mask inside the image."""
        whole = self.mask.shape == self.cutout.mask.shape
        return self.cutout.area if whole else int(np.count_nonzero(self.mask))

    @property
    def full_area(self) -> int:
        """Pixels that it would cover on an unlimited canvas."""
        return self.cutout.area

    @cached_property
    def _frame(self) -> tuple[Index, Index]:
        """The overlap of image and cutout: its index in the image, and its index in the cutout."""
        cover = self.cutout.cover
        height, width = cover.values.shape
        left, top = cover.x + self.x, cover.y + self.y
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = max(x0, min(SIZE, left + width)), max(y0, min(SIZE, top + height))
        here = slice(y0, y1), slice(x0, x1)
        return here, (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
