"""Colours: one set of swatches for objects of all classes, and moods for the scenery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.shapes.part import Tone

Color = NDArray[np.float32]


def color(text: str) -> Color:
    """'e0a030' as float32 [3] in 0…1."""
    return np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / np.float32(255)


def mix(a: Color, b: Color, share: float) -> Color:
    """`a` mixed with the share `share` of `b`."""
    return a + np.float32(share) * (b - a)


def colors(text: str) -> tuple[Color, ...]:
    """Several colours, separated by spaces."""
    return tuple(color(word) for word in text.split())


SWATCHES = colors(
    "e4572e f3722c f9a03f f6c453 e9d985 c9cba3 8fb339 4c956c 2c6e49 3aafa9 62c3d0 89c2d9 "
    "468faf 2a6f97 3d5a98 1d3f72 6a4c93 9b6fb5 b56576 d1495b e56b6f f2a6a0 f4c7ab d8a47f "
    "a9714b 7f4f24 5c4033 8d99ae 5d6d7e edeae0 f7d6e0 b8c0ff"
)
DARKS = colors("2f2a2a 3b2a24 2b2d42 4a3728 1f3a3d 4b2e39 5a4a3a 6b4226")
LIGHTS = colors("fbf5e6 f4efe9 eaf2f5 fdeccb e8efe0 f7e6ea")
SKINS = colors("f3c9a5 e0a878 c68642 8d5524 f7d7c4 b87a4b")
INK = color("2a2630")

Coat = dict[Tone, Color]


def coat(chance: Chance) -> Coat:
    """The colours of one object; all classes use the same rule."""
    main = chance.pick(SWATCHES)
    accent, second = _apart(chance, [main], 0.35), chance.pick(SWATCHES)
    second = _apart(chance, [main, accent], 0.25)
    return {
        "main": main,
        "accent": accent,
        "second": second,
        "dark": chance.pick(DARKS),
        "light": chance.pick(LIGHTS),
        "skin": chance.pick(SKINS),
        "ink": INK,
    }


def _apart(chance: Chance, others: list[Color], distance: float) -> Color:
    """A swatch unlike the others, if a few attempts find one."""
    choice = chance.pick(SWATCHES)
    for _ in range(6):
        if all(float(np.abs(choice - other).sum()) > 2 * distance for other in others):
            break
        choice = chance.pick(SWATCHES)
    return choice


@dataclass(frozen=True)
class Mood:
    """Season, hour and weather: the colours of the scenery.

    Attributes:
        sky: (zenith, horizon) colours, one pair per variant.
        grass, sea, road: base colours to choose from.
        glow: colour of sun, moon and highlights.
        tint: factor on all colours, weaker on objects.
        stars: True at night.
    """

    sky: tuple[tuple[Color, Color], ...]
    grass: tuple[Color, ...]
    sea: tuple[Color, ...]
    road: tuple[Color, ...]
    glow: Color
    tint: Color
    stars: bool = False


def _mood(
    sky: str, grass: str, sea: str, road: str, glow: str, tint: str, stars: bool = False
) -> Mood:
    pairs = tuple((color(a), color(b)) for a, b in (p.split("-") for p in sky.split()))
    return Mood(pairs, colors(grass), colors(sea), colors(road), color(glow), color(tint), stars)


MOODS = (
    _mood(
        "4fa3d9-cfe8f3 74b9e0-e9f3ee 5cc0c7-f3f0d7",
        "7fb24a 9cc25a 5f9e54",
        "3f8fb8 4fb0ae 2f7f9c",
        "8a8a8f a39a92 74757e",
        "fff3c4",
        "ffffff",
    ),
    _mood(
        "7d9fc7-f9d59b e59a6f-fbe3a8 c98aa8-fcd5a0",
        "b59b3e c7a94c 8f9a45",
        "c98f6b 7f8fa3 a88f8a",
        "9c7f72 8a7468 b0927c",
        "fff0b8",
        "fff1dc",
    ),
    _mood(
        "5a4a8a-f2a07b 3f4a85-d98fa8 7a4f8f-f4b98a",
        "5d7a5a 7a6a6f 4f6a6a",
        "6f6aa3 a8708f 50608f",
        "6a5f7a 5a5670 80697f",
        "ffd9a0",
        "ffe9e6",
    ),
    _mood(
        "16213f-3f5478 1d2547-5a5a86 0f2a3d-3d6a73",
        "2f5548 3c5a4a 2f4858",
        "22456a 2c5a6a 2f3d66",
        "3d4258 4a4a5e 343b4f",
        "f4efd0",
        "dfe4ff",
        True,
    ),
    _mood(
        "8fb5cf-f2e4c8 b4c4c9-f0dcc0 6f9fbf-f6d9a8",
        "c9853a b8642f d0a13f",
        "5f8f9c 8a9a7f 4f7f93",
        "94867a 7a716c a8917c",
        "fff0c9",
        "fff6ea",
    ),
    _mood(
        "9fa9b2-dcdedb 8796a5-cfd6d8 b3b0a8-e3ded2",
        "7d8f6a 94996f 6a8270",
        "7f939c 8f9a96 667f8a",
        "7c7f83 8f8c88 6c7076",
        "f2f2ee",
        "f4f6f8",
    ),
    _mood(
        "a9cfe6-f3f0f4 c3d3ea-f6e9ef 8fb8d9-eef3f6",
        "dfe9ec e8edf2 cfdde0",
        "7fa8bf 9fbccb 6a93b3",
        "a7b0b8 c2c6c9 8f99a5",
        "ffffff",
        "f6faff",
    ),
    _mood(
        "f2b8c6-fdeedd 9fd6c9-f7f3cf c9b6e4-f9dfe3",
        "a7c957 8fc79a c4d36a",
        "7fc8c2 b3a6d9 8fb8de",
        "c9a7a0 b8a9b8 d0b79a",
        "fff7dc",
        "fff8f6",
    ),
    _mood(
        "d9a46f-f4e0b0 e0b98f-f7ead0 c9835f-f2c79a",
        "c9b05f d6bd7a a99a50",
        "4f9a94 6fae9c c2a878",
        "d0b083 b8946a c9a37c",
        "fff4cf",
        "fff4e2",
    ),
)
MOOD_WEIGHTS = (2.2, 1.2, 1.2, 1.1, 1.2, 1.0, 1.0, 1.1, 0.9)
