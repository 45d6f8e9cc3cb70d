"""Umbrella, kite, cup, donut, potted plant, clock."""

from __future__ import annotations

import math

import numpy as np

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.geometry import (
    Points,
    arc,
    box,
    curve,
    ellipse,
    limb,
    polygon,
    rotate,
    smooth,
    translate,
    tube,
)
from seglib.data.pocket.shapes.part import Part, Tone, detail, pattern


def umbrella(chance: Chance) -> list[Part]:
    """Open, with a scalloped rim and a hooked handle."""
    half, top, rim = 0.62, -0.98, -0.48
    lobes = chance.pick((4, 5))
    dome = arc(0, rim, half, rim - top, math.pi, 2 * math.pi, 20)
    width = 2 * half / lobes
    scallops = [
        arc(half - (i + 0.5) * width, rim, width / 2, -0.075, 0.0, math.pi, 7) for i in range(lobes)
    ]
    canopy = Part([_join([dome, *scallops])], "main")
    panels = []
    for i in range(0, lobes, 2):
        left, right = -half + i * width, -half + (i + 1) * width
        panels.append(
            smooth(
                (0, top - 0.02),
                (right * 0.75, (top + rim) / 2 - 0.12),
                (right, rim + 0.02),
                ((left + right) / 2, rim - 0.03),
                (left, rim + 0.02),
                (left * 0.75, (top + rim) / 2 - 0.12),
                steps=4,
            )
        )
    side = chance.sign()
    hook = [
        (0.0, -0.5),
        (0.0, -0.1),
        (side * 0.03, -0.03),
        (side * 0.1, -0.01),
        (side * 0.17, -0.04),
        (side * 0.18, -0.12),
    ]
    shaft = Part(tube(hook[:2], [0.03, 0.03]), "dark", 1.3)
    handle = Part(tube(hook[1:], [0.045] * 5), "accent")
    tip = Part([limb((0, top), (0, top - 0.07), 0.028)], "dark")
    inside = Part(
        [
            smooth(
                (-half * 0.96, rim - 0.01),
                (0, rim - 0.1),
                (half * 0.96, rim - 0.01),
                (0, rim + 0.01),
                steps=4,
            )
        ],
        "dark",
        0.8,
    )
    return [
        shaft,
        handle,
        tip,
        inside,
        canopy,
        detail(panels, chance.pick(("accent", "light", "second")), within=canopy),
    ]


def _join(pieces: list[Points]) -> Points:
    return np.concatenate(pieces)


def kite(chance: Chance) -> list[Part]:
    """A four-coloured diamond; the bows of its tail are separate pieces of the mask."""
    wide, high = chance.between(0.34, 0.44), chance.between(0.16, 0.24)
    top, bottom, left, right = (
        (0.0, -0.5),
        (0.0, 0.42),
        (-wide, -0.5 + high + 0.08),
        (wide, -0.5 + high + 0.08),
    )
    center = (0.0, left[1])
    sail = Part([polygon(top, right, bottom, left)], "main")
    quarters = [
        detail([polygon(top, right, center), polygon(bottom, left, center)], "accent"),
        detail([polygon(bottom, right, center)], "second"),
    ]
    spars = detail([limb(top, bottom, 0.014), limb(left, right, 0.014)], "dark", 1.2)
    sway = chance.near(0, 0.28)
    end = (chance.near(0, 0.25), chance.between(0.85, 1.0))
    path = curve(bottom, end, sway, 9)
    string = Part(tube(path, [0.013] * 9), "dark", 1.3)
    bows = []
    for i in (2, 5, 8):
        (x, y), (px, py) = path[i], path[i - 1]
        turn = math.atan2(y - py, x - px)
        for s in (-1, 1):
            wing = polygon((0, 0), (-0.06, s * 0.13), (0.08, s * 0.13))
            bows.append(translate(rotate(wing, turn), x, y))
    return [string, Part(bows, chance.pick(("accent", "main", "second"))), sail, *quarters, spars]


def cup(chance: Chance) -> list[Part]:
    """A mug; the background is visible through its handle."""
    taper, height = chance.between(0.0, 0.1), chance.between(0.72, 0.95)
    half, flat = 0.38, chance.between(0.06, 0.1)
    low = half - taper
    wall = _join(
        [arc(0, -flat, low, flat, 0.0, math.pi, 10), polygon((-half, -height), (half, -height))]
    )
    body = Part([wall], "main")
    middle = -height * 0.52
    rx, ry = 0.27, height * 0.34
    handle = Part([ellipse(half - 0.04, middle, rx + 0.02, ry)], "main", 0.9)
    hole = Part([ellipse(half - 0.02, middle, rx - 0.1, ry - 0.125)], kind="hole")
    rim = Part([ellipse(0, -height, half, flat)], "light")
    drink = detail(ellipse(0, -height + 0.012, half - 0.05, flat - 0.025), "dark", 0.9)
    gleam = detail(
        limb((-half + 0.09, -height + 0.16), (-low + 0.09, -0.22), 0.025), "light", 1.2, within=body
    )
    # The body is in front of the hole, so the hole only cuts the handle.
    return [handle, hole, body, *pattern(chance, body, 0.75), gleam, rim, drink]


def donut(chance: Chance) -> list[Part]:
    """A ring with icing and sprinkles, seen from above at some angle."""
    flat = chance.between(0.72, 1.0)
    r, inner = 0.5, chance.between(0.15, 0.2)
    y = -r * flat
    dough = Part([ellipse(0, y, r, r * flat)], "skin")
    lift = 0.05 * (1.3 - flat) * 2
    icing = Part([_wavy(chance, y - lift, 0.43, flat)], "main", kind="detail")
    hole = Part([ellipse(0, y, inner, inner * flat)], kind="hole")
    well = detail(ellipse(0, y - lift * 0.5, inner * 1.35, inner * 1.35 * flat), "skin", 0.75)
    sprinkles: list[list[Points]] = [[], [], []]
    for i in range(chance.integer(9, 15)):
        angle, reach = chance.between(0, 2 * math.pi), chance.between(0.25, 0.38)
        x, sy = reach * math.cos(angle), y - lift + reach * flat * math.sin(angle)
        turn = chance.between(0, math.pi)
        dx, dy = 0.035 * math.cos(turn), 0.035 * math.sin(turn)
        sprinkles[i % 3].append(limb((x - dx, sy - dy), (x + dx, sy + dy), 0.02))
    colors: tuple[Tone, ...] = ("accent", "light", "second")
    return [
        dough,
        icing,
        well,
        hole,
        *(detail(s, c) for s, c in zip(sprinkles, colors, strict=True)),
    ]


def _wavy(chance: Chance, y: float, reach: float, flat: float) -> Points:
    waves, phase = chance.integer(6, 9), chance.between(0, 6)
    points = []
    for i in range(48):
        angle = 2 * math.pi * i / 48
        r = reach + 0.025 * math.sin(waves * angle + phase)
        points.append((r * math.cos(angle), y + flat * r * math.sin(angle)))
    return polygon(*points)


def plant(chance: Chance) -> list[Part]:
    """A pot with a rim, and leaves, flowers or a cactus."""
    half = chance.between(0.21, 0.27)
    pot = Part(
        [polygon((-half, -0.34), (half, -0.34), (half * 0.72, 0.0), (-half * 0.72, 0.0))], "main"
    )
    rim = Part([box(-half - 0.04, -0.4, half + 0.04, -0.31, 0.02)], "main", 1.08)
    grow = chance.pick((_fan, _flowers, _cactus), (3, 2, 1.5))
    return [*grow(chance), pot, *pattern(chance, pot, 0.5), rim]


def _leaf(length: float, width: float, angle: float) -> tuple[Points, Points]:
    blade = smooth(
        (0, 0),
        (width, -length * 0.4),
        (width * 0.6, -length * 0.75),
        (0, -length),
        (-width * 0.6, -length * 0.75),
        (-width, -length * 0.4),
        steps=4,
    )
    vein = limb((0, 0), (0, -length * 0.8), 0.014, 0.008)
    return translate(rotate(blade, angle), 0, -0.37), translate(rotate(vein, angle), 0, -0.37)


def _fan(chance: Chance) -> list[Part]:
    count = chance.integer(5, 7)
    parts = []
    order = sorted(range(count), key=lambda i: -abs(i - (count - 1) / 2))
    for i in order:
        angle = (i / (count - 1) - 0.5) * 2.3 + chance.near(0, 0.1)
        blade, vein = _leaf(chance.between(0.5, 0.64), chance.between(0.09, 0.12), angle)
        leaf = Part([blade], "second" if i % 2 else "accent")
        parts += [leaf, detail(vein, "dark", 1.2, within=leaf)]
    return parts


def _flowers(chance: Chance) -> list[Part]:
    stems, blooms, hearts, leaves = [], [], [], []
    for x in (-0.24, 0.02, 0.26):
        y = -chance.between(0.72, 0.9)
        stems.append(limb((x * 0.25, -0.36), (x, y), 0.025))
        for k in range(6):
            a = k * math.pi / 3
            blooms.append(
                ellipse(x + 0.085 * math.cos(a), y + 0.085 * math.sin(a), 0.06, 0.06, count=12)
            )
        hearts.append(ellipse(x, y, 0.055, 0.055, count=12))
    for angle in (-1.25, -0.55, 0.55, 1.25):
        leaves.append(_leaf(0.34, 0.08, angle)[0])
    return [
        Part(stems, "dark", 1.3),
        Part(leaves, "accent"),
        Part(blooms, "second"),
        detail(hearts, "light"),
    ]


def _cactus(chance: Chance) -> list[Part]:
    trunk = limb((0, -0.36), (0, -0.88), 0.13)
    left, right = -chance.between(0.5, 0.62), -chance.between(0.5, 0.62)
    arms = [
        *tube([(0, left), (-0.27, left), (-0.27, left - 0.2)], [0.075] * 3),
        *tube([(0, right - 0.06), (0.27, right - 0.06), (0.27, right - 0.22)], [0.07] * 3),
    ]
    ribs = detail([limb((x, -0.38), (x, -0.92), 0.012) for x in (-0.06, 0.0, 0.06)], "light")
    flower = Part([ellipse(0, -1.02, 0.09, 0.06, count=14)], "second")
    return [Part([trunk, *arms], "accent"), ribs, flower]


def clock(chance: Chance) -> list[Part]:
    """An alarm clock: two bells, two feet, a face with hands and marks."""
    y, r = -0.47, 0.4
    feet = Part(
        [limb((s * 0.2, -0.2), (s * 0.3, -0.03), 0.05, 0.045) for s in (-1, 1)], "dark", 1.3
    )
    dome = arc(0, 0, 0.19, 0.17, math.pi, 2 * math.pi, 12)
    bells = Part([translate(rotate(dome, s * 0.6), s * 0.25, y - 0.36) for s in (-1, 1)], "accent")
    top = Part([limb((0, y - r), (0, y - r - 0.12), 0.04)], "dark", 1.3)
    case = Part([ellipse(0, y, r, r)], "main")
    face = detail(ellipse(0, y, r * 0.76, r * 0.76), "light")
    marks = []
    for k in range(12):
        a, s = k * math.pi / 6, 0.66 if k % 3 else 0.6
        marks.append(
            limb(
                (r * s * math.cos(a), y + r * s * math.sin(a)),
                (r * 0.7 * math.cos(a), y + r * 0.7 * math.sin(a)),
                0.011 if k % 3 else 0.02,
            )
        )
    hours, minutes = chance.between(0, 2 * math.pi), chance.between(0, 2 * math.pi)
    hands = [
        limb((0, y), (n * math.cos(a), y + n * math.sin(a)), w)
        for a, n, w in ((hours, 0.15, 0.03), (minutes, 0.23, 0.022))
    ]
    return [
        feet,
        top,
        bells,
        case,
        *pattern(chance, case, 0.25),
        face,
        detail(marks, "ink", 1.2),
        detail([*hands, ellipse(0, y, 0.04, 0.04, count=12)], "ink"),
    ]
