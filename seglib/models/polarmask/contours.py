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
TOUCHING = np.ones((3, 3), dtype=bool)  # diagonal neighbours belong to one part
BESIDE = ndimage.generate_binary_structure(2, 1)


@dataclass(eq=False)
class Contour:
    """The outline of the largest part of a mask; its holes and other parts do not count.

    Attributes:
        points: float32 [K, 2], x and y of the pixels along the outline, in no order.
        center: float32 [2], x and y of the mass centre of what the outline encloses.
    """

    points: Tensor
    center: Tensor


def contour_of(mask: Tensor) -> Contour | None:
    """The contour of a bool [H, W] mask; None if the mask is empty.

    The outline runs through the centres of the border pixels, as OpenCV's `findContours` draws it,
    and encloses what lies between them.
    """
    pixels = mask.cpu().numpy()
    parts, count = ndimage.label(pixels, TOUCHING)
    largest: tuple[float, Contour] | None = None
    for number, where in enumerate(ndimage.find_objects(parts), 1):
        corner = np.array([where[1].start, where[0].start])
        filled = ndimage.binary_fill_holes(parts[where] == number)
        area, center = enclosed(filled)
        if largest is None or area > largest[0]:
            border = filled & ~ndimage.binary_erosion(filled, BESIDE)
            points = np.argwhere(border)[:, ::-1] + corner  # [K, 2]
            contour = (np.float32(points), np.float32(center + corner))
            largest = area, Contour(*map(torch.from_numpy, contour))
    return None if largest is None else largest[1]


def enclosed(filled: Bools) -> tuple[float, NDArray[np.float64]]:
    """Area and mass centre (x, y) of what the outline of a part without holes encloses.

    Four pixels that meet at a corner span a square between their centres: all of it is enclosed
    if all four belong to the part, half of it, a triangle, if three do.
    """
    owned = filled.astype(np.int64)
    corners = {(dx, dy): owned[dy : dy - 1 or None, dx : dx - 1 or None] for dx in (0, 1) for dy in (0, 1)}
    total = sum(corners.values())  # [H - 1, W - 1]
    y, x = np.nonzero(total >= 3)
    if len(x) == 0:  # a line, or a pixel
        y, x = np.nonzero(filled)
        return 0.0, np.array([x.mean(), y.mean()])
    weight = np.where(total[y, x] == 4, 1.0, 0.5)
    # The mean of the corners that belong to the part is the centre of the square or triangle.
    center_x = x + corners[1, 0][y, x] / total[y, x] + corners[1, 1][y, x] / total[y, x]
    center_y = y + corners[0, 1][y, x] / total[y, x] + corners[1, 1][y, x] / total[y, x]
    return weight.sum(), np.array([np.average(center_x, weights=weight), np.average(center_y, weights=weight)])
