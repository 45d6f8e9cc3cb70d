"""The contour of an object's mask, and the point in it from which its rays start.

Coordinates are those of pixel centres: the centre of the first pixel is at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)  # diagonal neighbours belong to the same part
FOUR_NEIGHBOURS = ndimage.generate_binary_structure(2, 1)


@dataclass(eq=False)
class Contour:
    """The outline of the largest part of a mask; holes and other parts are ignored.

    Attributes:
        points: float32 [K, 2], x and y of the pixels along the outline, in no particular order.
        center: float32 [2], x and y of the centre of mass of the area that the outline encloses.
    """

    points: Tensor
    center: Tensor


def contours_of(masks: Tensor) -> tuple[list[int], list[Contour]]:
    """The contours of masks bool [G, H, W].

    A contour runs through the centres of the border pixels, as OpenCV's `findContours` draws it,
    and encloses the area between them.

    Returns:
        the indices of the masks that are not empty, and a contour for each of these.
    """
    pixels = masks.cpu().numpy()
    drawn = [index for index, mask in enumerate(pixels) if mask.any()]
    return drawn, [_contour(pixels[index]) for index in drawn]


def _contour(pixels: Bools) -> Contour:
    """The contour of the largest part of a mask [H, W] that is not empty."""
    parts, _ = ndimage.label(pixels, EIGHT_NEIGHBOURS)
    outlines = []
    for number, where in enumerate(ndimage.find_objects(parts), 1):
        filled = ndimage.binary_fill_holes(parts[where] == number)
        outlines.append((*enclosed(filled), filled, (where[1].start, where[0].start)))
    _, center, filled, corner = max(outlines, key=lambda outline: outline[0])
    border = filled & ~ndimage.binary_erosion(filled, FOUR_NEIGHBOURS)
    points = np.argwhere(border)[:, ::-1] + np.array(corner)  # [K, 2]
    return Contour(*(torch.tensor(part, dtype=torch.float32) for part in (points, center + corner)))


def enclosed(filled: Bools) -> tuple[float, Floats]:
    """Area and centre of mass (x, y) of what the outline of a part without holes encloses.

    Four pixels that meet at a corner span a square between their centres: all of it is enclosed
    if all four belong to the part, and half of it, a triangle, if three do.
    """
    owned = filled.astype(np.int64)
    right, left = slice(1, None), slice(None, -1)
    corners = {  # by (steps to the right, steps down) from the upper left corner: [H - 1, W - 1]
        (0, 0): owned[left, left],
        (1, 0): owned[left, right],
        (0, 1): owned[right, left],
        (1, 1): owned[right, right],
    }
    total = np.sum(list(corners.values()), axis=0)
    at = np.nonzero(total >= 3)
    if len(at[0]) == 0:  # a line or a single pixel
        y, x = np.nonzero(filled)
        return 0.0, np.array([x.mean(), y.mean()])
    count = total[at]
    area = np.where(count == 4, 1.0, 0.5)
    # The mean of the corners that belong to the part is the centre of its square or triangle.
    x = at[1] + (corners[1, 0][at] + corners[1, 1][at]) / count
    y = at[0] + (corners[0, 1][at] + corners[1, 1][at]) / count
    return area.sum(), np.array([x @ area, y @ area]) / area.sum()
