"""Windows over an image: where a sliding network looks, and what it sees there."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError


def crop_windows(image: Tensor, windows: Tensor, size: int, fill: float = 0.0) -> Tensor:
    """Cut windows out and resize each to a square of `size` px, smoothly.

    The same numbers as resizing the whole image with anti-aliasing, adding a border of `fill`
    and cutting there: every output pixel averages the image's pixels under a tent as wide as
    the scale, at least two pixels. Rows first, then columns, two matrix products.

    Args:
        image: float [C, H, W], one for all windows; or [N, C, H, W], one a window.
        windows: [N, 4] corners in pixels; they may reach beyond the image.
        size: side S.
        fill: value of what lies beyond.

    Returns:
        [N, C, S, S] of the image's dtype.

    Raises:
        SeglibError: another shape.
    """
    if windows.ndim != 2 or windows.shape[1] != 4 or image.ndim not in (3, 4):
        raise SeglibError(
            "crop_windows needs an image [C, H, W] or [N, C, H, W] and windows [N, 4], got "
            f"{list(image.shape)} and {list(windows.shape)}"
        )
    height, width = image.shape[-2:]
    x0, y0, x1, y1 = windows.double().unbind(1)
    rows = _tents(y0, y1, size, height).to(image)[:, None]  # [N, 1, S, H]
    columns = _tents(x0, x1, size, width).to(image)[:, None]  # [N, 1, S, W]
    strips = torch.matmul(rows, image - fill)  # [N, C, S, W]
    return torch.matmul(strips, columns.transpose(-1, -2)) + fill


def _tents(start: Tensor, end: Tensor, size: int, length: int) -> Tensor:
    """[N, size, length] weights of an axis' pixels; rows of zeros for places beyond the image."""
    step = ((end - start) / size)[:, None]  # [N, 1] image pixels an output pixel
    place = start[:, None] + (torch.arange(size, device=start.device) + 0.5) * step  # [N, S]
    middle = torch.arange(length, device=start.device) + 0.5
    reach = step.clamp(min=1.0)[..., None]
    weights = (1 - (place[..., None] - middle).abs() / reach).clamp(min=0)  # [N, S, length]
    inside = (place >= 0) & (place < length)
    total = weights.sum(-1, keepdim=True).clamp(min=1e-12)
    return weights / total * inside[..., None]


def sliding_windows(
    size: tuple[int, int], resized: tuple[int, int], patch: int, stride: int
) -> Tensor:
    """The windows of a network that slides over a resized image padded by half a patch.

    Args:
        size: (H, W) of the image, whose pixels the answer counts in.
        resized: (h, w) that the network sees, without the padding.
        patch: side of its window.
        stride: from one window to the next.

    Returns:
        float32 [h // stride + 1, w // stride + 1, 4] corners; cell (i, j) is centred at
        (stride * j, stride * i) of the resized image.
    """
    factor = torch.tensor([size[1] / resized[1], size[0] / resized[0]])  # x, y
    y, x = (torch.arange(side // stride + 1) * float(stride) for side in resized)
    center = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)  # [h', w', (x, y)]
    return torch.cat([(center - patch / 2) * factor, (center + patch / 2) * factor], dim=-1)
