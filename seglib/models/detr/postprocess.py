"""Turn a set of predictions into detections: one per query, without suppression."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from seglib.ops.boxes import cxcywh_to_xyxy
from seglib.ops.upsampling import interpolate
from seglib.structures import Size


def best_classes(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The most probable class of each query, however probable "no object" is.

    Args:
        logits: [..., K], class 0 is "no object".

    Returns:
        probabilities [...] and labels int64 [...], 1…K − 1.
    """
    scores, classes = logits.softmax(dim=-1)[..., 1:].max(dim=-1)  # [..., K - 1] -> [...]
    return scores, classes + 1


def boxes_in_pixels(boxes: Tensor, size: Size) -> Tensor:
    """[..., 4] centre, width and height in 0…1 of the image's (H, W) -> corners in pixels."""
    height, width = size
    return cxcywh_to_xyxy(boxes) * boxes.new_tensor([width, height, width, height])


def masks_in_pixels(logits: Tensor, canvas: Size, seen: Size, size: Size) -> Tensor:
    """Masks at an image's own size.

    Args:
        logits: [N, h, w] on the canvas of a batch.
        canvas: (H, W) of the batch.
        seen: (H, W) of the resized image on it, without padding.
        size: (H, W) of the original image.

    Returns:
        bool [N, *size].
    """
    large = interpolate(logits[:, None], canvas, "bilinear")  # [N, 1, H, W]
    masks = (large > 0)[..., : seen[0], : seen[1]]  # a probability above one half
    if seen != size:
        masks = F.interpolate(masks.float(), size=size, mode="nearest") > 0  # [N, 1, *size]
    return masks[:, 0]
