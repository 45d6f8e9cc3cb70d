"""Convert between an image's masks and the small square masks that a head predicts inside boxes.

Mask R-CNN (He et al. 2017, sections 3 and 3.1): for training, each object's mask is cropped to its
box and resized to the head's size; the predicted masks are stretched back into the detected boxes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.ops.roi_align import roi_align

# One cell in a thousand is covered by exactly one half. A sum in float32 may fall on either side of
# it, depending on the device; this margin makes the result the same everywhere.
ROUNDING = 1e-5


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
        size: S, cells along a side of the square.
        index: int64 [N], the mask of every box; None means that box n belongs to mask n.
        threshold: a cell belongs to the object if at least this fraction of it is covered, within
            `ROUNDING`; None returns the fractions, on which torchvision trains.
        aligned: as in `roi_align`; False in torchvision's detectors.

    Returns:
        bool [N, S, S], or float of the boxes' dtype if `threshold` is None.
    """
    if index is None:
        index = torch.arange(len(boxes), device=boxes.device)  # [N]
    rois = torch.cat([index[:, None].to(boxes), boxes], dim=1)  # [N, 5]
    planes = masks[:, None].to(boxes.dtype)  # [G, 1, H, W]
    fractions = roi_align(planes, rois, size, 1.0, 0, aligned)[:, 0]  # [N, S, S]
    return fractions if threshold is None else fractions >= threshold - ROUNDING


def paste_masks(
    masks: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    threshold: float = 0.5,
    rounded: bool = False,
) -> Tensor:
    """Stretch square masks into their boxes, at the image's size.

    The value at every pixel's centre is interpolated bilinearly between the centres of the square's
    cells; outside the square, the probability is 0.

    Args:
        masks: float [N, S, S] probabilities.
        boxes: [N, 4] corners in pixels; parts outside the image are left out.
        size: (H, W) of the image.
        threshold: probability, above 0, that a pixel of the object must reach.
        rounded: follow torchvision's convention: the square gets a border of one empty cell, and
            the box is enlarged accordingly and rounded to whole pixels. Otherwise detectron2's.

    Returns:
        bool [N, H, W]; the mask of a box without area is empty.
    """
    if rounded:
        boxes = _whole_pixels(boxes, (masks.shape[-1] + 2) / masks.shape[-1])
        masks = F.pad(masks, (1, 1, 1, 1))  # [N, S + 2, S + 2]
    pasted = torch.zeros(len(masks), *size, dtype=torch.bool, device=masks.device)  # [N, H, W]
    for mask, box, canvas in zip(masks, boxes.tolist(), pasted, strict=True):
        rows, row_weights = _axis_weights(box[1], box[3], size[0], mask.shape[0])  # [h, S]
        columns, column_weights = _axis_weights(box[0], box[2], size[1], mask.shape[1])  # [w, S]
        # Rows and columns are mixed one after the other, as in RoIAlign.
        values = row_weights.to(mask) @ mask @ column_weights.to(mask).T  # [h, w]
        canvas[rows, columns] = values >= threshold
    return pasted


def _axis_weights(start: float, end: float, length: int, cells: int) -> tuple[slice, Tensor]:
    """The weights with which the pixels of an axis sample a mask stretched from `start` to `end`.

    Args:
        start: first border of the box, in pixels.
        end: second border of the box, in pixels.
        length: length of the image's axis, in pixels.
        cells: number of cells along the mask's axis.

    Returns:
        the n pixels that lie within half a cell of the box, and their float64 weights [n, cells],
        on the CPU.
    """
    cell = (end - start) / cells
    if not (cell > 0 and math.isfinite(cell)):
        return slice(0, 0), torch.zeros(0, cells, dtype=torch.float64)
    first = min(max(math.floor(start - cell), 0), length)
    last = min(max(math.ceil(end + cell), first), length)
    center = torch.arange(first, last, dtype=torch.float64) + 0.5  # [n]
    position = (center - start) / cell - 0.5  # the centre of the mask's cell i is at i
    distance = (position[:, None] - torch.arange(cells)).abs()  # [n, cells]
    return slice(first, last), (1 - distance).clamp(min=0)


def _whole_pixels(boxes: Tensor, scale: float) -> Tensor:
    """Enlarge boxes [N, 4] around their centres and cut off fractions; the last pixel belongs."""
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale  # [N, 2]
    center = (boxes[:, 2:] + boxes[:, :2]) * 0.5  # [N, 2]
    first, last = (center - half).long(), (center + half).long()
    return torch.cat([first, torch.maximum(last, first) + 1], dim=1)  # [N, 4]
