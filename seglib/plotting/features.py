"""Many channels as one picture: cells with like features get like colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.canvas import to_numpy


def feature_colors(features: Any) -> NDArray[np.uint8]:
    """Colour a feature map by the three directions in which its cells differ most.

    The principal components of the cells become red, green and blue. A colour means nothing by
    itself and does not compare between two maps.

    Args:
        features: [C, h, w], three channels or more.

    Returns:
        uint8 [h, w, 3].

    Raises:
        SeglibError: another shape.
    """
    values = to_numpy(features).astype(np.float64)
    if values.ndim != 3 or values.shape[0] < 3:
        raise SeglibError(f"feature_colors takes a [C, h, w] map with C ≥ 3, got {values.shape}")
    cells = values.reshape(len(values), -1).T  # [h·w, C]
    cells = cells - cells.mean(axis=0)
    _, directions = np.linalg.eigh(cells.T @ cells)  # rising: the last three are the widest
    directions = directions[:, ::-1][:, :3]
    # An eigenvector's sign is arbitrary; fixed, the picture is the same on every machine.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, range(3)])
    colors = cells @ directions  # [h·w, 3]
    reach = 2.5 * colors.std(axis=0) + 1e-12
    shades = np.clip(0.5 + 0.5 * colors / reach, 0, 1)
    return (255 * shades).round().astype(np.uint8).reshape(*values.shape[1:], 3)
