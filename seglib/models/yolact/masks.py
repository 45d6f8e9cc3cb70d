"""Masks from prototypes: one matrix product, then cropping (YOLACT, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.ops.precision import at_least_float32
from seglib.ops.upsampling import interpolate
from seglib.structures import Size

ENLARGED_TOGETHER = 16  # masks; those of a photograph would fill gigabytes if enlarged at once
MARGIN = 1.0  # cells that the official crop adds around a box


def assemble_masks(coefficients: Tensor, prototypes: Tensor) -> Tensor:
    """The weighted sums of all prototypes, M = P Cᵀ (equation 1, before the sigmoid).

    Args:
        coefficients: [n, k], one row per object.
        prototypes: [k, h, w] of the image.

    Returns:
        logits [n, h, w].
    """
    sums = coefficients @ prototypes.flatten(1)  # [n, k] @ [k, h·w] -> [n, h·w]
    return at_least_float32(sums.unflatten(1, prototypes.shape[1:]))  # [n, h, w]


def inside_boxes(boxes: Tensor, cells: Size) -> Tensor:
    """Which cells of a map lie in a box or one cell around it.

    Args:
        boxes: [n, 4] corners in cells, in any order.
        cells: (h, w) of the map.

    Returns:
        bool [n, h, w]; column c is inside if x0 − 1 <= c < x1 + 1, with both limits on the map.
    """
    height, width = cells
    low = torch.minimum(boxes[:, :2], boxes[:, 2:]) - MARGIN  # [n, 2]
    high = torch.maximum(boxes[:, :2], boxes[:, 2:]) + MARGIN  # [n, 2]
    columns = torch.arange(width, device=boxes.device)  # [w]
    rows = torch.arange(height, device=boxes.device)  # [h]
    in_columns = (columns >= low[:, :1]) & (columns < high[:, :1])  # [n, w]
    in_rows = (rows >= low[:, 1:]) & (rows < high[:, 1:])  # [n, h]
    return in_rows[:, :, None] & in_columns[:, None]  # [n, h, w]


def crop_masks(masks: Tensor, boxes: Tensor) -> Tensor:
    """Set masks [n, h, w] to zero outside their boxes [n, 4], given in cells."""
    return masks * inside_boxes(boxes, (masks.shape[-2], masks.shape[-1]))


def boxes_in_cells(boxes: Tensor, canvas: Size, cells: Size) -> Tensor:
    """Convert boxes [n, 4] from pixels of a canvas (H, W) to cells of a map (h, w) covering it."""
    down, across = cells[0] / canvas[0], cells[1] / canvas[1]
    return boxes * boxes.new_tensor([across, down, across, down])


def enlarge_masks(masks: Tensor, canvas: Size, seen: Size, size: Size) -> Tensor:
    """Resize mask probabilities from the prototypes' grid to the image.

    Args:
        masks: [n, h, w] over the whole canvas.
        canvas: (H, W) of the padded batch.
        seen: (H, W) of the resized image at the canvas's top left.
        size: (H, W) of the original image.

    Returns:
        [n, H, W] of the image's size.
    """
    if seen != canvas:
        masks = interpolate(masks[:, None], canvas)[:, 0, : seen[0], : seen[1]]  # [n, *seen]
    return interpolate(masks[:, None], size)[:, 0]  # [n, H, W]


def masks_of_image(masks: Tensor, canvas: Size, seen: Size, size: Size) -> Tensor:
    """Where the probabilities of `enlarge_masks` are above one half, bool [n, H, W]."""
    parts = masks.split(ENLARGED_TOGETHER)
    return torch.cat([enlarge_masks(part, canvas, seen, size) > 0.5 for part in parts])
