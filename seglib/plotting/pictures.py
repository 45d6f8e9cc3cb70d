"""Images on axes that are scaled to their panels only once, however often they are drawn."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

KEPT = 24  # number of latest scaled images that are kept: those of two large figures

_scaled: OrderedDict[Any, Any] = OrderedDict()


def add_picture(
    axes: Axes,
    pixels: NDArray[Any],
    *,
    interpolation: str,
    extent: tuple[float, float, float, float] | None = None,
    alpha: float | None = None,
) -> None:
    """Put uint8 pixels [H, W, 3] on axes as `imshow` does."""
    axes.set_aspect("equal")
    image = _Picture(axes, interpolation=interpolation, extent=extent, origin="upper")
    image.set_data(pixels)
    image.set_alpha(alpha)
    image.set_clip_path(axes.patch)
    image.set_extent(image.get_extent())
    axes.add_image(image)


class _Picture(AxesImage):
    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        """The scaled image: RGBA, its place in pixels, and no further transformation."""
        assert isinstance(self.axes, Axes)
        pixels = np.asarray(self.get_array())
        key = (
            pixels.shape,
            pixels.tobytes(),
            self.get_interpolation(),
            self.get_alpha(),
            tuple(self.get_extent()),
            self.axes.viewLim.bounds,
            self.axes.bbox.bounds,
            renderer.get_canvas_width_height(),
            (magnification, unsampled),
        )
        if key not in _scaled:
            _scaled[key] = super().make_image(renderer, magnification, unsampled)
        _scaled.move_to_end(key)
        if len(_scaled) > KEPT:
            _scaled.popitem(last=False)
        return _scaled[key]
