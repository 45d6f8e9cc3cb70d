"""Many channels as one picture: cells with similar features get similar colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.canvas import to_numpy


def feature_colors(features: Any) -> NDArray[np.uint8]:
    """Colour a feature map [C, h, w], C ≥ 3, by its first three principal components.

    They become red, green and blue. The colours have no meaning by themselves and cannot be
    compared between two maps.

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
    _, directions = np.linalg.eigh(cells.T @ cells)  # ascending: the last three explain the most
    directions = directions[:, ::-1][:, :3]
    # The sign of an eigenvector is arbitrary; fixing it gives the same picture on every machine.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, range(3)])
    colors = cells @ directions  # [h·w, 3]
    reach = 2.5 * colors.std(axis=0) + 1e-12
    shades = np.clip(0.5 + 0.5 * colors / reach, 0, 1)
    return (255 * shades).round().astype(np.uint8).reshape(*values.shape[1:], 3)
