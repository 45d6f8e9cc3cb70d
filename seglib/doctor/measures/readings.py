"""Ways in which boxes and masks are misread: another order, another origin, another unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.ops.boxes import cxcywh_to_xyxy, xywh_to_xyxy
from seglib.structures import Size

BoxReading = Callable[[Tensor, Size], Tensor]
MaskReading = Callable[[Tensor, Size], Tensor]

AS_IS = "as they are"
XYWH = "read as (x, y, width, height)"
CORNERS = "read as corners (x0, y0, x1, y1)"


def _swapped(boxes: Tensor) -> Tensor:
    return boxes[..., [1, 0, 3, 2]]


def _of_size(boxes: Tensor, size: Size) -> Tensor:
    height, width = size
    return boxes * boxes.new_tensor([width, height, width, height])


# Four numbers [N, 4] and the image's (H, W) → corners [N, 4].
BOX_READINGS: Mapping[str, BoxReading] = {
    XYWH: lambda boxes, _: xywh_to_xyxy(boxes),
    CORNERS: lambda boxes, _: boxes,
    "read as (centre x, centre y, width, height)": lambda boxes, _: cxcywh_to_xyxy(boxes),
    "read as (y, x, height, width)": lambda boxes, _: xywh_to_xyxy(_swapped(boxes)),
    "read as corners (y0, x0, y1, x1)": lambda boxes, _: _swapped(boxes),
    "read as fractions of the image (x, y, width, height)": lambda boxes, size: _of_size(
        xywh_to_xyxy(boxes), size
    ),
    "read as fractions of the image (x0, y0, x1, y1)": _of_size,
    "read as fractions of the image (centre x, centre y, width, height)": lambda boxes, size: (
        _of_size(cxcywh_to_xyxy(boxes), size)
    ),
}


def _as_they_are(mask: Tensor, size: Size) -> Tensor:
    """The mask itself; if its size is not the image's, an empty one, which overlaps nothing."""
    return mask if tuple(mask.shape) == size else mask.new_zeros(size)


def _transposed(mask: Tensor, size: Size) -> Tensor:
    return _as_they_are(mask.T, size)


def _along_rows(mask: Tensor, size: Size) -> Tensor:
    """Undo runs that were counted along rows but decoded along columns."""
    return mask.T.reshape(size) if mask.numel() == size[0] * size[1] else mask.new_zeros(size)


def _resized(mask: Tensor, size: Size) -> Tensor:
    if tuple(mask.shape) == size:
        return mask.new_zeros(size)  # the same as AS_IS, and so not another reading
    return F.interpolate(mask[None, None].float(), size=size)[0, 0] > 0.5


# A mask bool [h, w] and the image's (H, W) → a mask bool [H, W]. The first is the prescribed one.
MASK_READINGS: Mapping[str, MaskReading] = {
    AS_IS: _as_they_are,
    "transposed": _transposed,
    "read with runs along rows": _along_rows,
    "mirrored left to right": lambda mask, size: _as_they_are(mask.flip(1), size),
    "mirrored upside down": lambda mask, size: _as_they_are(mask.flip(0), size),
    "resized to the image": _resized,
}


def best_shift(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[int, int]:
    """The one shift that brings predicted pixels best onto the true ones, over all images.

    Args:
        pairs: for each image, the union of its predicted masks and that of its true masks, both
            bool [H, W].

    Returns:
        (dx, dy) in px to add to the predicted coordinates; (0, 0) without pairs.
    """
    if not pairs:
        return 0, 0
    canvas = [2 * max(true.shape[axis] for _, true in pairs) for axis in (0, 1)]
    total = torch.zeros(canvas)
    for predicted, true in pairs:
        spectra = [torch.fft.rfft2(mask.float(), s=canvas) for mask in (predicted, true)]
        total += torch.fft.irfft2(spectra[1] * spectra[0].conj(), s=canvas)  # [canvas]
    row, column = divmod(int(total.argmax()), canvas[1])
    return _signed(column, canvas[1]), _signed(row, canvas[0])


def moved_by(shift: tuple[int, int]) -> str:
    """The name of the reading in which boxes or masks are moved by (dx, dy) px."""
    return f"moved by {shift[0]} px in x and {shift[1]} px in y"


def _signed(offset: int, length: int) -> int:
    return offset - length if offset >= length // 2 else offset


def moved(mask: Tensor, shift: tuple[int, int]) -> Tensor:
    """A mask bool [H, W] moved by (dx, dy) px; what leaves the image is lost."""
    height, width = mask.shape
    dx, dy = shift
    result = torch.zeros_like(mask)
    if abs(dx) < width and abs(dy) < height:
        rows, columns = _window(dy, height), _window(dx, width)
        result[rows[1], columns[1]] = mask[rows[0], columns[0]]
    return result


def _window(shift: int, length: int) -> tuple[slice, slice]:
    """The source and the destination of a shift along one axis."""
    source = slice(max(0, -shift), length - max(0, shift))
    return source, slice(max(0, shift), length - max(0, -shift))


def filled(boxes: Tensor, size: Size) -> Tensor:
    """bool [H, W], the pixels inside at least one of the corner boxes [N, 4]."""
    result = torch.zeros(size, dtype=torch.bool)
    for x0, y0, x1, y1 in boxes.nan_to_num(0, 0, 0).clamp(min=0, max=1e6).round().int().tolist():
        result[y0:y1, x0:x1] = True
    return result
