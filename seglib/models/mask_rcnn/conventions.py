"""Where the two reference implementations of Mask R-CNN differ.

These details move boxes by up to half a cell. A checkpoint needs those that it was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reference = Literal["torchvision", "detectron2"]


@dataclass(frozen=True)
class Conventions:
    """The choices of one reference implementation.

    Attributes:
        rounded_anchors: anchors have whole pixels, see `nn.anchors.cell_anchors`.
        aligned: RoIAlign puts the centre of pixel 0 at 0.5, see `ops.roi_align`.
        sampling_ratio: RoIAlign's samples per bin and axis; 0 means as many as the bin spans cells.
        box_beta: beta of `smooth_l1` in the box losses of both stages.
        mask_threshold: a cell of a mask target belongs to the object if at least this fraction of
            it is covered; None makes the fractions themselves the targets.
        min_detection: shortest side in pixels that a detection may have; None allows any.
        rounded_paste: boxes are rounded before masks are pasted, see `ops.mask_paste.paste_masks`.
    """

    rounded_anchors: bool
    aligned: bool
    sampling_ratio: int
    box_beta: float
    mask_threshold: float | None
    min_detection: float | None
    rounded_paste: bool


CONVENTIONS: dict[Reference, Conventions] = {
    "torchvision": Conventions(
        rounded_anchors=True,
        aligned=False,
        sampling_ratio=2,
        box_beta=1 / 9,
        mask_threshold=None,
        min_detection=0.01,
        rounded_paste=True,
    ),
    "detectron2": Conventions(
        rounded_anchors=False,
        aligned=True,
        sampling_ratio=0,
        box_beta=0.0,
        mask_threshold=0.5,
        min_detection=None,
        rounded_paste=False,
    ),
}
