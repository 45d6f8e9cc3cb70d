"""One colour for each paradigm, the same in all figures that compare paradigms."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

from seglib.plotting.style import BLUE, GREEN, INK, ORANGE, PALETTE, PURPLE, SKY, VERMILION

# By the letters of the name alone, so that "Mask R-CNN" and "mask_rcnn" are the same network.
NETWORK_COLORS = {
    "maskrcnn": BLUE,
    "cascadercnn": SKY,
    "yolact": ORANGE,
    "solo": VERMILION,
    "polarmask": GREEN,
    "detr": INK,  # not yellow: a yellow line on white is hard to see
    "maskformer": PURPLE,
}


def network_colors(names: Iterable[str]) -> list[str]:
    """A colour for each name: that of the paradigm; for other names, those that are left."""
    known = [NETWORK_COLORS.get(_letters(name)) for name in names]
    left = cycle([shade for shade in PALETTE if shade not in known])
    return [shade or next(left) for shade in known]


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalpha())
