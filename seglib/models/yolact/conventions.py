"""Where the released YOLACT code differs from what its paper or common sense suggests.

The published weights were trained with these details and need them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reference = Literal["official", "seglib"]


@dataclass(frozen=True)
class Conventions:
    """The details in which the official code and seglib differ.

    Attributes:
        square_anchors: every anchor is a square of side s·√ratio, because the height was computed
            with the formula for the width. The author noticed this after training ("all our
            anchors were squares this whole time", github.com/dbolya/yolact/issues/19) and gained
            0.2 AP by correcting it; the published COCO weights still need it.
        square_input: images are stretched to `image_size` x `image_size`, whatever their aspect
            ratio (section 5 of the paper); otherwise the longer side gets that length.
        every_class: an anchor whose best class passes the score threshold is a candidate for all
            classes; otherwise only for the classes whose own scores pass it.
        whole_pixels: boxes are truncated to whole pixels after suppression.
    """

    square_anchors: bool
    square_input: bool
    every_class: bool
    whole_pixels: bool


CONVENTIONS: dict[Reference, Conventions] = {
    "official": Conventions(
        square_anchors=True,
        square_input=True,
        every_class=True,
        whole_pixels=True,
    ),
    "seglib": Conventions(
        square_anchors=False,
        square_input=False,
        every_class=False,
        whole_pixels=False,
    ),
}
