"""Painting on pixels: masks, outlines, boxes and name tags that do not overlap.

Everything is painted at the size at which it will be displayed, so that lines and letters are
as sharp on a 128 px drawing as on a photograph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch import Tensor

from seglib.errors import SeglibError
from seglib.plotting.strokes import (
    RGB,
    Bits,
    Bytes,
    eroded,
    occupied,
    row_strips,
    tint,
    with_neighbours,
)
from seglib.plotting.style import ink_on

Rect = tuple[float, float, float, float]

LARGEST_SEARCHED, COARSE = 2048, 1024  # px, longer sides; see `Canvas.widest_place`


def to_numpy(values: Any) -> NDArray[Any]:
    """Tensor, array or nested list as a numpy array."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def as_rgb(image: Any) -> Bytes:
    """Any image as uint8 [H, W, 3].

    Args:
        image: float tensor [3, H, W] or [1, H, W] in 0…1; uint8 array [H, W, 3]; or [H, W] of
            either type, shown in grey.

    Raises:
        SeglibError: another shape, or an image without pixels.
    """
    pixels = to_numpy(image)
    channels_first = isinstance(image, Tensor) or pixels.shape[-1] not in (1, 3)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and channels_first:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3) or pixels.size == 0:
        raise SeglibError(f"an image is [3, H, W] or [H, W, 3], got {list(pixels.shape)}")
    rgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    for rows in row_strips(len(pixels)):
        rgb[rows] = pixels[rows] if pixels.dtype == np.uint8 else _as_bytes(pixels[rows])
    return rgb


def _as_bytes(pixels: NDArray[Any]) -> Bytes:
    """Values in 0…1 as bytes 0…255; NaN becomes 0."""
    return (np.clip(np.nan_to_num(pixels), 0, 1) * 255).round().astype(np.uint8)


class Canvas:
    """An image to paint on, enlarged if it is small.

    Masks and boxes are given in coordinates of the image, or of a smaller or larger copy of it;
    the canvas scales them.

    Args:
        image: any image that `as_rgb` takes.
        side: a smaller image is enlarged until its longer side has this many pixels.
        shrink: also reduce a larger image to that size.
        size: (H, W) of the copy to which masks and boxes refer; None means the image itself.
    """

    def __init__(
        self,
        image: Any,
        side: int = 512,
        shrink: bool = False,
        size: tuple[int, int] | None = None,
    ) -> None:
        pixels = as_rgb(image)
        own = (pixels.shape[0], pixels.shape[1])
        self.size = size or own
        scale = side / max(own)
        if not shrink:
            scale = max(1.0, scale)
        height, width = (max(1, round(n * scale)) for n in own)
        if scale != 1:
            resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
            pixels = np.array(resized)
        self._pixels = pixels
        self._drawing: Image.Image | None = None
        # Pixels of the canvas per pixel in which masks and boxes are given.
        self.down, self.across = scale * (own[0] / self.size[0]), scale * (own[1] / self.size[1])
        self.line = max(2, round(max(height, width) / 320))
        self.font = _font(int(np.clip(max(height, width) / 42, 11, 26)))
        self.tags: list[Rect] = []

    def resize_mask(self, mask: Any) -> Bits:
        """A mask [H, W] of size `size` at the canvas's size, with smooth edges."""
        bits = to_numpy(mask).astype(bool)
        if bits.shape != self.size:
            raise SeglibError(f"mask {list(bits.shape)} does not fit image {list(self.size)}")
        if bits.shape == self.pixels.shape[:2]:
            return bits
        grey = Image.fromarray(bits.astype(np.uint8) * 255)
        size = (self.pixels.shape[1], self.pixels.shape[0])
        return np.asarray(grey.resize(size, Image.Resampling.BILINEAR)) > 127

    def fill(self, bits: Bits, color: RGB, alpha: float = 0.45) -> None:
        """Tint the pixels of a mask of the canvas's size."""
        window = occupied(bits, margin=0)
        tint(self.pixels[window], bits[window], color, alpha)

    def hatch(self, bits: Bits, color: RGB) -> None:
        """Diagonal stripes, for crowds and ignored pixels."""
        rows, columns = np.indices(bits.shape)
        stripes = (rows + columns) % (6 * self.line) < 2 * self.line
        self.fill(bits & stripes, color, 0.75)

    def outline(self, bits: Bits, color: RGB) -> None:
        """The inner rim of a canvas mask in full colour, with a thin light edge around it."""
        window = occupied(bits, margin=1)
        bits, pixels = bits[window], self.pixels[window]
        halo = with_neighbours(bits, 1, np.logical_or) & ~bits
        tint(pixels, halo, (255, 255, 255), 0.7)
        pixels[bits & ~eroded(bits, self.line)] = color

    def box(self, corners: Any, color: RGB) -> None:
        """The outline of a box (x0, y0, x1, y1) in pixels of the image."""
        x0, y0, x1, y1 = self._scaled(corners)
        edge = (x0, y0, max(x0, x1 - 1), max(y0, y1 - 1))
        draw = self._draw()
        draw.rectangle(edge, outline=(255, 255, 255), width=self.line + 1)
        draw.rectangle(edge, outline=color, width=self.line)

    def tag(self, text: str, corners: Any, color: RGB) -> bool:
        """Write a name at the box `corners`, clear of other tags; False if there is no room."""
        rect = self._free_place(self._scaled(corners), *self.tag_size(text))
        if rect is not None:
            self._write(text, rect, color)
        return rect is not None

    def tag_at(self, text: str, place: tuple[int, int], color: RGB) -> bool:
        """Write a name with its middle at (row, column) of the canvas; False if it is not free."""
        width, height = self.tag_size(text)
        rect = self._clear(place[1] + 0.5 - width / 2, place[0] + 0.5 - height / 2, width, height)
        if rect is not None:
            self._write(text, rect, color)
        return rect is not None

    def tag_size(self, text: str) -> tuple[float, float]:
        """Width and height of a name on the canvas."""
        left, top, right, bottom = self.font.getbbox(text)
        return right - left + 2 * self._pad, bottom - top + 2 * self._pad

    @property
    def _pad(self) -> int:
        return max(2, self.line)

    def _write(self, text: str, rect: Rect, color: RGB) -> None:
        self.tags.append(rect)
        left, top, *_ = self.font.getbbox(text)
        fill = ink_on(tuple(c / 255 for c in color))
        corner = (rect[0] + self._pad - left, rect[1] + self._pad - top)
        draw = self._draw()
        draw.rounded_rectangle(rect, radius=self._pad, fill=color)
        draw.text(corner, text, fill=fill, font=self.font)

    def widest_place(self, bits: Bits) -> tuple[int, int]:
        """The row and column of a canvas mask that are farthest from its edge.

        In a large picture they are searched on a grid of about `COARSE` pixels.
        """
        step = search_step(bits)
        depth = ndimage.distance_transform_edt(np.pad(bits[::step, ::step], 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        return step * int(row), step * int(column)

    def tag_place(self, text: str, place: tuple[int, int], color: RGB) -> bool:
        """Write a name centred at (row, column) of the canvas; False if there is no room."""
        row, column = place
        left, top, right, bottom = self.font.getbbox(text)
        half = ((right - left) / 2 + self.line, (bottom - top) / 2 + self.line)
        x, y = (column + 0.5) / self.across, (row + 0.5) / self.down
        dx, dy = half[0] / self.across, half[1] / self.down
        return self.tag(text, (x - dx, y - dy, x + dx, y + dy), color)

    def _scaled(self, corners: Any) -> Rect:
        x0, y0, x1, y1 = (float(value) for value in to_numpy(corners))
        return x0 * self.across, y0 * self.down, x1 * self.across, y1 * self.down

    @property
    def pixels(self) -> Bytes:
        """What has been painted so far, uint8 [H, W, 3]; to be changed in place."""
        if self._drawing is not None:
            self._pixels, self._drawing = np.array(self._drawing), None
        return self._pixels

    def _draw(self) -> ImageDraw.ImageDraw:
        """Pillow's brush. It needs a copy of all pixels, which stays until they are read again."""
        if self._drawing is None:
            self._drawing = Image.fromarray(self._pixels)
        return ImageDraw.Draw(self._drawing)

    def _free_place(self, box: Rect, width: float, height: float) -> Rect | None:
        """The first place inside or around a box that is free of other tags, or None."""
        x0, y0, x1, y1 = box
        small = (x1 - x0) * (y1 - y0) < 4 * width * height
        inside = [(x0, y0), (x1 - width, y0), (x0, y1 - height), (x1 - width, y1 - height)]
        around = [
            (x0, y0 - height),
            (x0, y1),
            (x1, y0),
            (x0 - width, y0),
            (x1 - width, y0 - height),
        ]
        for x, y in [*around, *inside] if small else [*inside, *around]:
            if (rect := self._clear(x, y, width, height)) is not None:
                return rect
        return None

    def _clear(self, x: float, y: float, width: float, height: float) -> Rect | None:
        """A rectangle moved into the canvas, or None if it then meets another tag."""
        full_height, full_width = self._pixels.shape[:2]
        x = float(np.clip(x, 0, max(0, full_width - 1 - width)))
        y = float(np.clip(y, 0, max(0, full_height - 1 - height)))
        rect = (x, y, x + width, y + height)
        return None if any(_overlap(rect, other) for other in self.tags) else rect


def search_step(bits: Bits) -> int:
    """Pixels between the places of a mask that are searched, of which a photograph has many."""
    side = max(bits.shape)
    return 1 if side <= LARGEST_SEARCHED else -(-side // COARSE)


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _font(size: int) -> Any:
    """The font that ships with matplotlib, so that every machine draws the same letters."""
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    return ImageFont.truetype(str(path), size)
