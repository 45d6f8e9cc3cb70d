"""The box coder of SSD (Liu et al., ECCV 2016, section 2.2), which YOLACT uses.

The regression targets are those of R-CNN, divided by the "variances" (0.1, 0.1, 0.2, 0.2). Unlike
`ops.decode_deltas`, decoding does not limit how much larger than its anchor a box can be.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh

CENTER_VARIANCE, SIDE_VARIANCE = 0.1, 0.2


def encode_boxes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """The deltas that turn each anchor into its box.

    Args:
        anchors: [..., 4] (centre x, centre y, width, height).
        boxes: [..., 4] corners in the same unit, of positive width and height.

    Returns:
        [..., 4] (dx, dy, dw, dh): the shift of the centre as a fraction of the anchor's sides and
        the logarithm of the ratio of the sides, both divided by the variances.
    """
    targets = xyxy_to_cxcywh(boxes)
    shift = (targets[..., :2] - anchors[..., :2]) / anchors[..., 2:]  # [..., 2]
    growth = torch.log(targets[..., 2:] / anchors[..., 2:])  # [..., 2]
    return torch.cat([shift / CENTER_VARIANCE, growth / SIDE_VARIANCE], dim=-1)


def decode_boxes(anchors: Tensor, deltas: Tensor) -> Tensor:
    """Apply deltas to anchors; the inverse of `encode_boxes`.

    Args:
        anchors: [..., 4] (centre x, centre y, width, height).
        deltas: [..., 4]; leading dimensions broadcast.

    Returns:
        [..., 4] corners, not clipped to any image.
    """
    centers = anchors[..., :2] + deltas[..., :2] * CENTER_VARIANCE * anchors[..., 2:]  # [..., 2]
    sides = anchors[..., 2:] * (deltas[..., 2:] * SIDE_VARIANCE).exp()  # [..., 2]
    return cxcywh_to_xyxy(torch.cat([centers, sides], dim=-1))
