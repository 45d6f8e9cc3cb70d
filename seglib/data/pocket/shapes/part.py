"""The parts that every object is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.geometry import Points, box, ellipse, polygon

Tone = Literal["main", "accent", "dark", "light", "skin", "second", "ink"]
"""One of an object's colours, named by its role, since all classes share the same palette."""


@dataclass
class Part:
    """One painted part of an object, in the object's own units (about 1 high, y down).

    Attributes:
        rings: closed outlines, painted as their union.
        tone: which of the object's colours.
        light: brightness factor on that colour.
        kind: `body` adds to the silhouette, `detail` is only painted on it, `hole` cuts it.
        within: clip to this part, for patterns.
        relief: strength of the lit and the dark edge.
    """

    rings: list[Points]
    tone: Tone = "main"
    light: float = 1.0
    kind: Literal["body", "detail", "hole"] = "body"
    within: Part | None = None
    relief: float = 1.0


Draw = Callable[[Chance], list[Part]]


def detail(
    rings: list[Points] | Points, tone: Tone, light: float = 1.0, within: Part | None = None
) -> Part:
    """Flat paint on top of the body."""
    outlines = rings if isinstance(rings, list) else [rings]
    return Part(outlines, tone, light, "detail", within, relief=0.3)


def pattern(chance: Chance, part: Part, probability: float = 0.6) -> list[Part]:
    """Sometimes stripes, bands, dots or patches, painted within `part`."""
    if not chance.happens(probability):
        return []
    low, high = part.rings[0].min(axis=0), part.rings[0].max(axis=0)
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    width, height = x1 - x0, y1 - y0
    style = chance.pick(("bands", "stripes", "dots", "band", "patches"))
    rings: list[Points] = []
    if style in ("bands", "stripes"):
        count = chance.integer(3, 4)
        slant = chance.near(0, 0.2)
        for i in range(count):
            a, b = (i + 0.25) / count, (i + 0.75) / count
            if style == "bands":
                ya, yb, s = y0 + a * height, y0 + b * height, slant * height
                rings.append(polygon((x0, ya), (x1, ya + s), (x1, yb + s), (x0, yb)))
            else:
                xa, xb, s = x0 + a * width, x0 + b * width, slant * width
                rings.append(polygon((xa, y0), (xb, y0), (xb + s, y1), (xa + s, y1)))
    elif style == "band":
        middle, half = y0 + chance.between(0.4, 0.65) * height, 0.12 * height
        rings.append(box(x0, middle - half, x1, middle + half))
    else:
        count, reach = (8, 0.08) if style == "dots" else (3, 0.2)
        for _ in range(count):
            x, y = chance.between(x0, x1), chance.between(y0, y1)
            r = chance.between(0.8, 1.2) * reach * max(width, height)
            rings.append(ellipse(x, y, r, r * chance.between(0.7, 1.0), count=12))
    return [detail(rings, chance.pick(("accent", "light", "second")), within=part)]
