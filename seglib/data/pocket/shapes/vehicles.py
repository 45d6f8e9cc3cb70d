"""Car, airplane, boat."""

from __future__ import annotations

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.geometry import Points, box, ellipse, limb, polygon, smooth
from seglib.data.pocket.shapes.part import Part, detail, pattern


def car(chance: Chance) -> list[Part]:
    """Side view: saloon, hatchback, van or pick-up."""
    kind = chance.pick(("saloon", "hatch", "van", "pickup"), (3, 3, 2, 1.5))
    roof = {
        "saloon": ((-0.62, -0.42), (-0.36, -0.78), (0.2, -0.78), (0.5, -0.42)),
        "hatch": ((-0.84, -0.42), (-0.72, -0.8), (0.14, -0.8), (0.46, -0.42)),
        "van": ((-0.92, -0.42), (-0.88, -0.92), (0.4, -0.92), (0.66, -0.42)),
        "pickup": ((-0.12, -0.42), (-0.08, -0.84), (0.3, -0.84), (0.54, -0.42)),
    }[kind]
    cabin = Part([_rounded(roof)], "main")
    hull = Part(
        [
            smooth(
                (-0.95, -0.2),
                (-0.97, -0.42),
                (-0.88, -0.5),
                (0.0, -0.5),
                (0.5, -0.49),
                (0.9, -0.42),
                (0.98, -0.28),
                (0.94, -0.15),
                (0, -0.14),
                (-0.92, -0.14),
                steps=4,
            )
        ],
        "main",
    )
    glass = _windows(roof)
    wheels = [ellipse(x, -0.17, 0.185, 0.185) for x in (-0.55, 0.55)]
    arches = [ellipse(x, -0.19, 0.24, 0.24) for x in (-0.55, 0.55)]
    lights = [ellipse(0.9, -0.35, 0.06, 0.06, count=14)]
    rear = [box(-0.97, -0.44, -0.9, -0.32, 0.02)]
    skirt = box(-0.93, -0.22, 0.93, -0.12, 0.04)
    door = [box(-0.02, -0.48, 0.005, -0.2), box(0.06, -0.42, 0.16, -0.39)]
    return [
        cabin,
        hull,
        *pattern(chance, hull, 0.3),
        detail(skirt, "second", within=hull),
        detail(arches, "dark", 0.6, within=hull),
        detail(glass, "light"),
        detail(
            [
                polygon((x - 0.02, -0.5), (x + 0.12, -0.95), (x + 0.2, -0.95), (x + 0.06, -0.5))
                for x in (-0.4, 0.12)
            ],
            "light",
            1.25,
            within=detail(glass, "light"),
        ),
        detail(door, "dark", 0.8),
        detail(lights, "light", 1.2),
        detail(rear, "accent"),
        Part(wheels, "ink", 1.1),
        detail([ellipse(x, -0.17, 0.1, 0.1, count=18) for x in (-0.55, 0.55)], "light", 0.85),
        detail([ellipse(x, -0.17, 0.035, 0.035, count=10) for x in (-0.55, 0.55)], "ink", 1.2),
    ]


def _rounded(roof: tuple[tuple[float, float], ...]) -> Points:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = roof
    return smooth(
        (ax, ay),
        (bx - 0.01, by + 0.05),
        (bx + 0.09, by),
        (cx - 0.09, cy),
        (cx + 0.03, cy + 0.05),
        (dx, dy),
        ((ax + dx) / 2, ay + 0.05),
        steps=4,
    )


def _windows(roof: tuple[tuple[float, float], ...]) -> list[Points]:
    (ax, _), (bx, by), (cx, _), (dx, _) = roof
    top, low = by + 0.07, -0.46
    share = 0.1
    left = (ax + (bx - ax) * share + 0.09, bx + 0.06)
    right = (dx - 0.12, cx - 0.03)
    middle = (left[1] + right[1]) / 2
    return [
        polygon((left[0], low), (left[1], top), (middle - 0.03, top), (middle - 0.03, low)),
        polygon((middle + 0.03, low), (middle + 0.03, top), (right[1], top), (right[0], low)),
    ]


def airplane(chance: Chance) -> list[Part]:
    """Seen from the side and slightly from above, nose to the right."""
    sweep = chance.between(0.25, 0.5)
    body = Part(
        [
            smooth(
                (-0.95, -0.14),
                (-0.7, -0.19),
                (0.5, -0.2),
                (0.82, -0.14),
                (0.98, 0.0),
                (0.86, 0.12),
                (0.45, 0.18),
                (-0.4, 0.15),
                (-0.85, 0.0),
            )
        ],
        "main",
    )
    fin = Part([polygon((-0.58, -0.12), (-0.82, -0.56), (-1.02, -0.56), (-0.97, -0.05))], "accent")
    wing = Part(
        [
            polygon(
                (0.34, 0.03), (-0.22 - sweep * 0.5, 0.62), (-0.48 - sweep * 0.5, 0.62), (-0.2, 0.03)
            )
        ],
        "second",
    )
    far = Part(
        [
            polygon(
                (0.3, -0.14), (0.0 - sweep * 0.4, -0.5), (-0.2 - sweep * 0.4, -0.5), (-0.08, -0.14)
            )
        ],
        "second",
        0.75,
    )
    tail = Part(
        [polygon((-0.6, -0.03), (-0.94, 0.2), (-1.12, 0.2), (-0.94, -0.04))], "accent", 0.85
    )
    belly = detail(
        smooth((-0.9, 0.02), (0.0, 0.06), (0.98, 0.02), (0.6, 0.3), (-0.6, 0.3)),
        "second",
        within=body,
    )
    windows = [ellipse(-0.45 + 0.17 * i, -0.06, 0.048, 0.052, count=12) for i in range(6)]
    cockpit = polygon((0.68, -0.15), (0.82, -0.12), (0.9, -0.04), (0.7, -0.04))
    engine = Part([box(-0.16, 0.26, 0.18, 0.4, 0.07)], "light", 0.95)
    nozzle = detail(box(0.12, 0.26, 0.18, 0.4), "ink", within=engine)
    stripe = detail(
        polygon((-0.9, -0.42), (-0.75, -0.42), (-0.68, -0.28), (-1.0, -0.28)), "light", within=fin
    )
    return [
        far,
        fin,
        stripe,
        body,
        belly,
        detail(windows, "ink", 1.4),
        detail(cockpit, "ink", 1.4),
        tail,
        wing,
        engine,
        nozzle,
    ]


def boat(chance: Chance) -> list[Part]:
    """A sailing boat; the gap between the sails can split the mask."""
    depth = chance.between(0.22, 0.28)
    hull = Part(
        [
            polygon(
                (-0.52, -depth),
                (0.58, -depth - 0.03),
                (0.4, -0.02),
                (0.3, 0.0),
                (-0.34, 0.0),
                (-0.42, -0.03),
            )
        ],
        "main",
    )
    lift = -depth - 0.06
    full = chance.between(0.0, 0.08)
    sail = Part(
        [
            smooth(
                (0.0, -1.0),
                (0.03, -0.6),
                (0.04, lift),
                (-0.2, lift),
                (-0.44, lift - 0.01),
                (-0.3 - full, -0.5),
                (-0.12 - full, -0.8),
                steps=4,
            )
        ],
        "accent",
    )
    jib = Part([polygon((0.13, -0.88), (0.3, -0.56), (0.5, lift), (0.13, lift))], "light")
    mast = Part([box(0.055, -1.02, 0.1, -depth + 0.02)], "dark")
    flag = Part([polygon((0.08, -1.02), (0.28, -1.0), (0.08, -0.9))], "second")
    bands = detail(
        polygon(
            (-0.6, -depth * 0.72), (0.6, -depth * 0.76), (0.6, -depth * 0.5), (-0.6, -depth * 0.46)
        ),
        "light",
        within=hull,
    )
    rim = Part([limb((-0.52, -depth), (0.58, -depth - 0.03), 0.028)], "dark", 1.2)
    ports = detail(
        [ellipse(x, -depth * 0.3, 0.03, 0.03, count=10) for x in (-0.2, 0.02, 0.24)], "ink", 1.3
    )
    parts = [mast, sail, *pattern(chance, sail, 0.6)]
    if chance.happens(0.8):
        parts += [jib, *pattern(chance, jib, 0.3)]
    if chance.happens(0.5):
        parts.append(flag)
    return [*parts, hull, bands, ports, rim]
