"""Binary masks as tensors: area, bounding box, and intersection over union."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.primitives import primitive


def mask_area(masks: Tensor) -> Tensor:
    """The number of pixels of each mask: bool [..., H, W] -> int64 [...]."""
    # Row sums in int32 first: several times faster than one sum of bools in int64.
    return masks.sum(-1, dtype=torch.int32).sum(-1)


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The tightest box around each mask, half-open: a single pixel has a box of side 1.

    Args:
        masks: bool [N, H, W].

    Returns:
        float32 [N, 4] corners (x0, y0, x1, y1) in pixels; zeros for an empty mask.

    Raises:
        SeglibError: masks are not [N, H, W].
    """
    if masks.ndim != 3:
        raise SeglibError(f"masks must be [N, H, W], got {list(masks.shape)}")
    boxes = torch.zeros(len(masks), 4, device=masks.device)
    if masks.numel() == 0:
        return boxes
    height, width = masks.shape[-2:]
    in_row, in_column = masks.any(2).int(), masks.any(1).int()  # [N, H], [N, W]
    # argmax finds the first True, or the last one in the flipped mask.
    boxes[:, 0] = in_column.argmax(1)
    boxes[:, 1] = in_row.argmax(1)
    boxes[:, 2] = width - in_column.flip(1).argmax(1)
    boxes[:, 3] = height - in_row.flip(1).argmax(1)
    boxes[~masks.flatten(1).any(1)] = 0
    return boxes


def _mask_iou_naive(a: Tensor, b: Tensor, iscrowd: Tensor | None = None) -> Tensor:
    """One pair of masks at a time, one pixel at a time."""
    ious = torch.zeros(len(a), len(b), dtype=torch.float64, device=a.device)
    for i, mask_a in enumerate(a.tolist()):
        for j, mask_b in enumerate(b.tolist()):
            both = either = only_a = 0
            for row_a, row_b in zip(mask_a, mask_b, strict=True):
                for pixel_a, pixel_b in zip(row_a, row_b, strict=True):
                    both += pixel_a and pixel_b
                    either += pixel_a or pixel_b
                    only_a += pixel_a
            total = only_a if iscrowd is not None and iscrowd[j] else either
            ious[i, j] = both / total if total else 0.0
    return ious


def _mask_iou_scratch(a: Tensor, b: Tensor, iscrowd: Tensor | None = None) -> Tensor:
    """All pairs at once by broadcasting [N, 1, H, W] against [1, M, H, W]."""
    intersection = mask_area(a[:, None] & b[None])  # [N, M]
    union = mask_area(a[:, None] | b[None])  # [N, M]
    if iscrowd is not None:
        union = torch.where(iscrowd[None], mask_area(a)[:, None], union)
    return intersection.double() / union.double().clamp(min=1)


@primitive(scratch=_mask_iou_scratch, naive=_mask_iou_naive)
def mask_iou(a: Tensor, b: Tensor, iscrowd: Tensor | None = None) -> Tensor:
    """Intersection over union of every mask of `a` with every mask of `b`.

    For a crowd region, the union is the area of `a` alone, as in the COCO evaluation (Lin et al.
    2014, pycocotools): a detection inside a crowd matches it, however large the crowd is. The
    result is float64 because ratios of pixel counts can equal thresholds such as 0.65 exactly.

    Args:
        a: bool [N, H, W], the detections.
        b: bool [M, H, W], the objects.
        iscrowd: bool [M], which of `b` are crowds; None means that none is.

    Returns:
        float64 [N, M] in 0…1; 0 where both masks are empty.
    """
    _check_pair(a, b)
    # The dot product of two masks of zeros and ones counts the pixels they share, so one matrix
    # product gives all pairs. Float32 counts exactly up to 2^24 px.
    pixels_a, pixels_b = a.flatten(1).float(), b.flatten(1).float()  # [N, H·W], [M, H·W]
    intersection = (pixels_a @ pixels_b.T).double()  # [N, M]
    area_a, area_b = pixels_a.sum(1)[:, None].double(), pixels_b.sum(1)[None].double()
    union = area_a + area_b - intersection  # [N, M]
    if iscrowd is not None:
        union = torch.where(iscrowd[None], area_a, union)
    return intersection / union.clamp(min=1)


def _check_pair(a: Tensor, b: Tensor) -> None:
    if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:]:
        raise SeglibError(
            "mask_iou needs bool [N, H, W] and [M, H, W] of the same height and width, "
            f"got {list(a.shape)} and {list(b.shape)}"
        )
