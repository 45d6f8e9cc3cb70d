"""Between an image's masks and the small square masks that a head predicts inside boxes.

Mask R-CNN (He et al. 2017, sections 3 and 3.1): objects are cut out of their boxes to train the
head, and what the head predicts is stretched back into the detected boxes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.roi_align import roi_align


def crop_resize_masks(
    masks: Tensor,
    boxes: Tensor,
    size: int,
    index: Tensor | None = None,
    threshold: float | None = 0.5,
    aligned: bool = True,
) -> Tensor:
    """Targets of a mask head: the part of a mask inside a box, as a small square.

    Args:
        masks: bool [G, H, W].
        boxes: [N, 4] corners in pixels.
        size: side S of the square.
        index: int64 [N] mask of every box; None where box n belongs to mask n.
        threshold: a cell belongs to the object if its covered fraction reaches this; None gives
            the fractions (what torchvision trains on).
        aligned: as in `roi_align`; torchvision's detectors use False.

    Returns:
        bool [N, S, S], or float of the boxes' dtype where threshold is None.

    Raises:
        SeglibError: the shapes do not fit.
    """
    if masks.ndim != 3 or (index is None and len(masks) != len(boxes)):
        raise SeglibError(
            "crop_resize_masks needs masks [G, H, W] and a mask for every box (or an index), got "
            f"masks {list(masks.shape)} and {len(boxes)} boxes"
        )
    if index is None:
        index = torch.arange(len(boxes), device=boxes.device)
    rois = torch.cat([index[:, None].to(boxes), boxes], dim=1)
    fractions = roi_align(masks[:, None].to(boxes.dtype), rois, size, 1.0, 0, aligned)[:, 0]
    return fractions if threshold is None else fractions >= threshold


def paste_masks(
    masks: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    threshold: float = 0.5,
    rounded: bool = False,
) -> Tensor:
    """Stretch square masks into their boxes, at the image's size.

    The middle of every pixel is looked up in the square, bilinearly between the middles of its
    cells; beyond the square everything is 0.

    Args:
        masks: float [N, S, S] probabilities.
        boxes: [N, 4] corners in pixels; parts outside the image are left out.
        size: (H, W) of the image.
        threshold: a pixel belongs to the object if its probability reaches this; above 0.
        rounded: torchvision's convention: with a border of one empty cell around the square, the
            box enlarged by as much and rounded to whole pixels. Otherwise detectron2's.

    Returns:
        bool [N, H, W]; nothing for a box without area.

    Raises:
        SeglibError: masks are not [N, S, S], boxes not [N, 4], or the threshold is not above 0.
    """
    if masks.ndim != 3 or boxes.shape != (len(masks), 4) or threshold <= 0:
        raise SeglibError(
            "paste_masks needs masks [N, S, S], boxes [N, 4] and a threshold above 0, got "
            f"{list(masks.shape)}, {list(boxes.shape)} and {threshold}"
        )
    if rounded:
        boxes = _whole_pixels(boxes, (masks.shape[-1] + 2) / masks.shape[-1])
        masks = F.pad(masks, (1, 1, 1, 1))
    pasted = torch.zeros(len(masks), *size, dtype=torch.bool, device=masks.device)
    for mask, box, canvas in zip(masks, boxes.tolist(), pasted, strict=True):
        rows, row_weights = _stretch(box[1], box[3], size[0], mask.shape[0])
        columns, column_weights = _stretch(box[0], box[2], size[1], mask.shape[1])
        # Rows and columns are mixed one after the other, as in RoIAlign.
        values = row_weights.to(mask) @ mask @ column_weights.to(mask).T
        canvas[rows, columns] = values >= threshold
    return pasted


def _stretch(start: float, end: float, length: int, cells: int) -> tuple[slice, Tensor]:
    """How an axis of the image reads an axis of a square mask laid from `start` to `end`.

    Args:
        start: in pixels.
        end: in pixels.
        length: of the image's axis.
        cells: of the mask's.

    Returns:
        the n pixels that lie within half a cell of the box, and their float64 weights [n, cells].
    """
    cell = (end - start) / cells
    if not (cell > 0 and math.isfinite(cell)):
        return slice(0, 0), torch.zeros(0, cells, dtype=torch.float64)
    first = min(max(math.floor(start - cell), 0), length)
    last = min(max(math.ceil(end + cell), first), length)
    middle = torch.arange(first, last, dtype=torch.float64) + 0.5
    position = (middle - start) / cell - 0.5  # the middle of the mask's cell i is at i
    distance = (position[:, None] - torch.arange(cells)).abs()
    return slice(first, last), (1 - distance).clamp(min=0)


def _whole_pixels(boxes: Tensor, scale: float) -> Tensor:
    """Enlarge boxes around their centre and cut off their fractions; the last pixel counts."""
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale
    center = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    first, last = (center - half).long(), (center + half).long()
    return torch.cat([first, torch.maximum(last, first) + 1], dim=1)
