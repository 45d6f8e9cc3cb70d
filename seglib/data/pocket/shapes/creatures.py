"""Person, bird, cat."""

from __future__ import annotations

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.geometry import (
    Pair,
    Points,
    arc,
    box,
    curve,
    ellipse,
    limb,
    polygon,
    smooth,
    tube,
)
from seglib.data.pocket.shapes.part import Part, detail, pattern


def person(chance: Chance) -> list[Part]:
    """Standing or walking, each arm in one of five poses; an arm on the hip leaves a hole."""
    stride = chance.between(0.03, 0.15)
    dressed = chance.happens(0.35)
    leg = 0.062
    legs = [limb((s * 0.07, -0.4), (s * (0.05 + stride), -0.05), leg + 0.012, leg) for s in (-1, 1)]
    feet = [ellipse(s * (0.05 + stride) + 0.03, -0.035, 0.085, 0.04, count=14) for s in (-1, 1)]
    torso = Part(
        [
            smooth(
                (-0.15, -0.71),
                (0, -0.74),
                (0.15, -0.71),
                (0.17, -0.55),
                (0.14, -0.36),
                (0, -0.34),
                (-0.14, -0.36),
                (-0.17, -0.55),
            )
        ],
        "main",
    )
    arms = [_arm(chance, side) for side in (-1.0, 1.0)]
    parts = [
        Part(legs, "skin" if dressed else "accent", 0.95),
        Part(feet, "dark"),
        Part([ring for arm in arms for ring in arm[0]], "main", 0.9),
        Part([arm[1] for arm in arms], "skin"),
        torso,
        *pattern(chance, torso, 0.5),
    ]
    if dressed:
        flare = chance.between(0.2, 0.28)
        skirt = smooth((-0.13, -0.46), (0.13, -0.46), (flare, -0.22), (0, -0.19), (-flare, -0.22))
        parts.append(Part([skirt], chance.pick(("main", "accent"))))
    return parts + _head(chance)


def _arm(chance: Chance, side: float) -> tuple[list[Points], Points]:
    shoulder = (side * 0.15, -0.66)
    pose = chance.pick(("down", "hip", "up", "wave", "out"), (3, 2, 1.5, 1.5, 1.5))
    elbow, hand = {
        "down": ((0.235, -0.53), (0.23, -0.38)),
        "hip": ((0.36, -0.53), (0.19, -0.41)),
        "up": ((0.29, -0.78), (0.3, -0.99)),
        "wave": ((0.32, -0.62), (0.4, -0.84)),
        "out": ((0.3, -0.63), (0.45, -0.58)),
    }[pose]
    joint, end = (side * elbow[0], elbow[1]), (side * hand[0], hand[1])
    return tube([shoulder, joint, end], [0.062, 0.052, 0.046]), ellipse(
        *end, 0.055, 0.055, count=14
    )


def _head(chance: Chance) -> list[Part]:
    y, r = -0.86, 0.135
    neck = Part([box(-0.05, -0.78, 0.05, -0.68)], "skin", 0.85)
    face = Part([ellipse(0, y, r, r * 1.04)], "skin")
    look = chance.near(0, 0.05)
    eyes = [ellipse(s * 0.05 + look, y + 0.005, 0.017, 0.022, count=10) for s in (-1, 1)]
    smile = tube(
        [(look - 0.04, y + 0.055), (look, y + 0.072), (look + 0.04, y + 0.055)], [0.01] * 3
    )
    style = chance.pick(("short", "long", "bun", "hat"))
    cap = _hair(y, r * 1.08)
    extra: list[Part] = []
    if style == "long":
        mane = smooth(
            (-0.15, y - 0.06),
            (0, y - 0.15),
            (0.15, y - 0.06),
            (0.17, -0.68),
            (0.08, -0.66),
            (-0.08, -0.66),
            (-0.17, -0.68),
        )
        return [
            Part([mane], "dark"),
            neck,
            face,
            Part([cap], "dark"),
            detail(eyes, "ink"),
            detail(smile, "ink"),
        ]
    if style == "bun":
        extra = [Part([ellipse(0, y - 0.17, 0.065, 0.06, count=16)], "dark")]
    if style == "hat":
        brim = box(-0.2, y - 0.085, 0.2, y - 0.045, 0.02)
        crown = box(-0.125, y - 0.2, 0.125, y - 0.06, 0.05)
        return [
            neck,
            face,
            detail(eyes, "ink"),
            detail(smile, "ink"),
            Part([crown], "second"),
            Part([brim], "second", 0.85),
        ]
    return [neck, face, *extra, Part([cap], "dark"), detail(eyes, "ink"), detail(smile, "ink")]


def _hair(y: float, r: float) -> Points:
    return arc(0, y, r, r, 3.45, 5.97, 18)


def standing_bird(chance: Chance) -> list[Part]:
    """A plump bird on two legs, beak to the right."""
    tilt = chance.near(0, 0.05)
    body = Part(
        [
            smooth(
                (-0.42, -0.42),
                (-0.1, -0.62),
                (0.12, -0.9 + tilt),
                (0.34, -0.96 + tilt),
                (0.46, -0.8 + tilt),
                (0.42, -0.5),
                (0.22, -0.22),
                (-0.1, -0.2),
            )
        ],
        "main",
    )
    tail = Part(
        [
            smooth(
                (-0.25, -0.4), (-0.62, -0.62), (-0.78, -0.5), (-0.72, -0.38), (-0.3, -0.24), steps=3
            )
        ],
        "second",
        0.9,
    )
    legs = Part(
        [limb((x, -0.24), (x + 0.03, -0.02), 0.028) for x in (0.02, 0.18)]
        + [limb((x, -0.02), (x + 0.12, -0.015), 0.026) for x in (0.02, 0.18)],
        "accent",
        0.8,
    )
    beak = Part(
        [polygon((0.42, -0.86 + tilt), (0.68, -0.75 + tilt), (0.42, -0.68 + tilt))], "accent"
    )
    belly = detail(ellipse(0.2, -0.38, 0.24, 0.2), "light", within=body)
    wing = Part(
        [
            smooth(
                (0.16, -0.6),
                (0.2, -0.44),
                (-0.02, -0.3),
                (-0.46, -0.3),
                (-0.2, -0.48),
                (-0.02, -0.62),
            )
        ],
        "second",
    )
    feathers = detail(
        [limb((-0.3, -0.345), (0.0, -0.4), 0.014), limb((-0.2, -0.43), (0.05, -0.48), 0.014)],
        "dark",
        within=wing,
    )
    return [legs, tail, body, belly, wing, feathers, beak, *_bird_eye(0.3, -0.8 + tilt, 0.052)]


def flying_bird(chance: Chance) -> list[Part]:
    """A flying bird, both wings raised, beak to the right."""
    lift = chance.between(0.35, 0.75)
    body = Part(
        [
            smooth(
                (-0.4, -0.08),
                (-0.1, -0.17),
                (0.2, -0.19),
                (0.4, -0.22),
                (0.52, -0.1),
                (0.4, 0.04),
                (0.1, 0.13),
                (-0.2, 0.06),
            )
        ],
        "main",
    )
    tail = Part(
        [polygon((-0.3, -0.1), (-0.8, -0.2), (-0.7, -0.02), (-0.78, 0.14), (-0.28, 0.05))],
        "second",
        0.85,
    )
    beak = Part([polygon((0.47, -0.18), (0.72, -0.07), (0.46, -0.01))], "accent")
    far = Part(
        [smooth((0.24, -0.12), (0.28, -lift * 0.9), (0.12, -lift * 1.02), (-0.02, -0.1), steps=4)],
        "second",
        0.75,
    )
    near = Part(
        [
            smooth(
                (0.16, -0.08),
                (0.1, -lift * 0.6),
                (-0.2, -lift * 1.15),
                (-0.34, -lift * 1.1),
                (-0.3, -lift * 0.55),
                (-0.2, 0.0),
                steps=4,
            )
        ],
        "second",
    )
    bars = detail(
        [
            limb((-0.22, -lift * 0.9), (-0.05, -0.15), 0.015),
            limb((-0.1, -lift * 0.75), (0.03, -0.14), 0.015),
        ],
        "dark",
        within=near,
    )
    belly = detail(ellipse(0.16, 0.08, 0.28, 0.1), "light", within=body)
    return [far, tail, body, belly, near, bars, beak, *_bird_eye(0.37, -0.11, 0.04)]


def _bird_eye(x: float, y: float, r: float) -> list[Part]:
    return [
        detail(ellipse(x, y, r * 1.5, r * 1.5, count=14), "light"),
        detail(ellipse(x + r * 0.3, y, r * 0.85, r * 0.85, count=12), "ink"),
    ]


def cat(chance: Chance) -> list[Part]:
    """Sitting upright or walking; two pointed ears, whiskers, a long tail."""
    return _sitting_cat(chance) if chance.happens(0.55) else _walking_cat(chance)


def _sitting_cat(chance: Chance) -> list[Part]:
    curl = chance.between(0.25, 0.5)
    path: list[Pair] = [(0.18, -0.07), (0.42, -0.08), (0.52, -curl * 0.6), (0.44, -curl - 0.12)]
    tail = Part(tube(path, [0.07, 0.065, 0.06, 0.05]), "main", 0.9)
    body = Part(
        [
            smooth(
                (-0.27, -0.03),
                (-0.25, -0.25),
                (-0.15, -0.55),
                (0.15, -0.55),
                (0.25, -0.25),
                (0.27, -0.03),
                (0, 0.01),
            )
        ],
        "main",
    )
    chest = detail(ellipse(0, -0.3, 0.11, 0.2), "light", within=body)
    paws = Part([ellipse(s * 0.11, -0.045, 0.095, 0.05, count=16) for s in (-1, 1)], "light", 0.96)
    tip = detail(ellipse(*path[-1], 0.075, 0.09, count=14), "light", within=tail)
    return [
        tail,
        tip,
        body,
        *_stripes(chance, body),
        chest,
        paws,
        *_cat_head(chance, 0.0, -0.68, 0.25),
    ]


def _walking_cat(chance: Chance) -> list[Part]:
    step = chance.between(0.02, 0.08)
    path = curve((-0.42, -0.44), (-0.62 - step, -0.9), chance.between(0.15, 0.35), 5)
    tail = Part(tube(path, [0.07, 0.06, 0.055, 0.05, 0.045]), "main", 0.9)
    far = Part(
        [limb((x, -0.3), (x + d, -0.05), 0.075, 0.055) for x, d in ((-0.3, step), (0.26, step))],
        "main",
        0.72,
    )
    near = Part(
        [limb((x, -0.3), (x - d, -0.055), 0.085, 0.06) for x, d in ((-0.38, step), (0.34, -step))],
        "main",
        0.95,
    )
    body = Part(
        [
            smooth(
                (-0.5, -0.4),
                (-0.36, -0.55),
                (0.0, -0.53),
                (0.36, -0.55),
                (0.46, -0.4),
                (0.34, -0.24),
                (0, -0.22),
                (-0.38, -0.22),
            )
        ],
        "main",
    )
    tip = detail(ellipse(*path[-1], 0.06, 0.07, count=14), "light", within=tail)
    head = _cat_head(chance, 0.47, -0.62, 0.215)
    return [tail, tip, far, body, *_stripes(chance, body), near, *head]


def _stripes(chance: Chance, body: Part) -> list[Part]:
    return pattern(chance, body, 0.55)


def _cat_head(chance: Chance, x: float, y: float, r: float) -> list[Part]:
    ears, inner = [], []
    for s in (-1.0, 1.0):
        ears.append(
            polygon(
                (x + s * r * 0.95, y - r * 0.25),
                (x + s * r * 0.88, y - r * 1.4),
                (x + s * r * 0.12, y - r * 0.75),
            )
        )
        inner.append(
            polygon(
                (x + s * r * 0.78, y - r * 0.5),
                (x + s * r * 0.78, y - r * 1.12),
                (x + s * r * 0.36, y - r * 0.76),
            )
        )
    face = Part([ellipse(x, y, r * 1.1, r * 0.92)], "main", 1.04)
    look = chance.near(0, 0.08) * r
    eyes = [
        ellipse(x + s * r * 0.45 + look, y - r * 0.08, r * 0.15, r * 0.2, count=12) for s in (-1, 1)
    ]
    nose = polygon((x - r * 0.13, y + r * 0.18), (x + r * 0.13, y + r * 0.18), (x, y + r * 0.34))
    whiskers = [
        limb((x + s * r * 0.35, y + r * h), (x + s * r * 1.0, y + r * (h + t)), r * 0.04)
        for s in (-1, 1)
        for h, t in ((0.3, -0.06), (0.42, 0.1))
    ]
    muzzle = detail(ellipse(x, y + r * 0.42, r * 0.52, r * 0.36), "light", within=face)
    return [
        Part(ears, "main", 0.92),
        detail(inner, "skin"),
        face,
        muzzle,
        detail(whiskers, "ink", 1.3),
        detail(eyes, "ink"),
        detail(nose, "ink"),
    ]
