"""R-CNN's crops: any region, with some context, warped into the square that the network reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from seglib.ops.upsampling import interpolate


def context_windows(boxes: Tensor, size: int, context: float) -> Tensor:
    """The windows to cut out so that each box has `context` pixels around it once warped.

    A box fills size - 2·context of the warped pixels, so its window is larger by the factor
    size / (size - 2·context), independently in each direction (R-CNN, appendix A).

    Args:
        boxes: [N, 4] corners in pixels of the image.
        size: side of the warped square.
        context: margin in pixels of the warped square; 0 gives the boxes themselves, rounded.

    Returns:
        int64 [N, 4] half-open windows with sides of at least one pixel; they may reach beyond the
        image.

    Raises:
        SeglibError: the context leaves no room for the box.
    """
    if size <= 2 * context:
        raise SeglibError(f"context={context} on both sides leaves no room in a crop of {size} px")
    center_sides = xyxy_to_cxcywh(boxes)
    factor = boxes.new_tensor([1, 1, *[size / (size - 2 * context)] * 2])
    windows = cxcywh_to_xyxy(center_sides * factor).round().long()
    return torch.cat([windows[:, :2], windows[:, 2:].maximum(windows[:, :2] + 1)], dim=1)


def warp_regions(
    image: Tensor,
    boxes: Tensor,
    size: int = 227,
    context: float = 16.0,
    fill: Sequence[float] = (0.0, 0.0, 0.0),
) -> Tensor:
    """Cut out regions and resize each to a square, whatever its shape (R-CNN, section 2.1).

    Args:
        image: float [3, H, W].
        boxes: [N, 4] corners in pixels.
        size: side of the square in pixels; 227 in the paper.
        context: width of the surroundings of each box, in pixels of the square; 16 of 227 in the
            paper.
        fill: colour [3] outside the image; the mean colour in the paper.

    Returns:
        [N, 3, size, size], bilinear.
    """
    height, width = image.shape[-2:]
    crops = image.new_empty(len(boxes), 3, size, size)
    for crop, (x0, y0, x1, y1) in zip(
        crops, context_windows(boxes, size, context).tolist(), strict=True
    ):
        window = image.new_tensor(fill)[:, None, None].repeat(1, y1 - y0, x1 - x0)
        top, left = max(y0, 0), max(x0, 0)
        inside = image[:, top : max(min(y1, height), top), left : max(min(x1, width), left)]
        rows, columns = inside.shape[1:]
        window[:, top - y0 : top - y0 + rows, left - x0 : left - x0 + columns] = inside
        crop.copy_(interpolate(window[None], (size, size))[0])
    return crops
