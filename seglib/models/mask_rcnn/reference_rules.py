"""Where the two reference implementations of Mask R-CNN differ.

The details move boxes by up to half a cell. A checkpoint needs those it was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Conventions = Literal["torchvision", "detectron2"]


@dataclass(frozen=True)
class ReferenceRules:
    """The choices of one reference.

    Attributes:
        rounded_anchors: to whole pixels, see `nn.anchors.cell_anchors`.
        aligned: RoIAlign puts the middle of pixel 0 at 0.5, see `ops.roi_align`.
        sampling_ratio: of RoIAlign, samples a bin and axis; 0 for as many as cells.
        box_beta: of the box losses' `smooth_l1`, in both stages.
        mask_threshold: covered fraction from which a cell of a mask target belongs to the object;
            None trains on the fractions.
        min_detection: sides in pixels that a detection must reach, None for any.
        rounded_paste: boxes rounded before masks are pasted, see `ops.mask_paste.paste_masks`.
    """

    rounded_anchors: bool
    aligned: bool
    sampling_ratio: int
    box_beta: float
    mask_threshold: float | None
    min_detection: float | None
    rounded_paste: bool


REFERENCES: dict[Conventions, ReferenceRules] = {
    "torchvision": ReferenceRules(
        rounded_anchors=True,
        aligned=False,
        sampling_ratio=2,
        box_beta=1 / 9,
        mask_threshold=None,
        min_detection=0.01,
        rounded_paste=True,
    ),
    "detectron2": ReferenceRules(
        rounded_anchors=False,
        aligned=True,
        sampling_ratio=0,
        box_beta=0.0,
        mask_threshold=0.5,
        min_detection=None,
        rounded_paste=False,
    ),
}
