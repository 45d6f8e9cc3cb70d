"""Upsampling: the bilinear kernel that FCN's transposed convolutions start from, and resizing."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seglib.errors import SeglibError
from seglib.primitives import primitive

ResizeMode = Literal["bilinear", "nearest"]


def _naive_bilinear_kernel(size: int) -> Tensor:
    """One entry at a time."""
    _check_size(size)
    reach = (size + 1) // 2
    center = (size - 1) / 2 if size % 2 else reach - 0.5
    kernel = torch.zeros(size, size)
    for i in range(size):
        for j in range(size):
            kernel[i, j] = (1 - abs(i - center) / reach) * (1 - abs(j - center) / reach)
    return kernel


@primitive(naive=_naive_bilinear_kernel)
def bilinear_kernel(size: int) -> Tensor:
    """The tent whose transposed convolution interpolates linearly (Long et al. 2015, section 3.3).

    Args:
        size: side k; 2·stride upsamples by `stride`.

    Returns:
        float32 [k, k]: (1 − |i − c| / f)·(1 − |j − c| / f) with f = ⌊(k + 1) / 2⌋ and centre
        c = f − 1 for odd k, f − 0.5 for even k.

    Raises:
        SeglibError: size is below 1.
    """
    _check_size(size)
    reach = (size + 1) // 2
    center = reach - 1 if size % 2 else reach - 0.5
    tent = 1 - (torch.arange(size) - center).abs() / reach  # [k]
    return torch.outer(tent, tent)


def _check_size(size: int) -> None:
    if size < 1:
        raise SeglibError(f"bilinear_kernel needs a size of at least 1, got {size}")


def bilinear_upsample_kernel(channels: int, stride: int) -> Tensor:
    """The weight with which `conv_transpose2d` upsamples every channel separately.

    Args:
        channels: C.
        stride: upsampling factor; the kernel is 2·stride wide.

    Returns:
        float32 [C, C, 2·stride, 2·stride], the bilinear kernel on the channel diagonal.
    """
    weight = torch.zeros(channels, channels, 2 * stride, 2 * stride)
    weight[range(channels), range(channels)] = bilinear_kernel(2 * stride)
    return weight


def _naive_interpolate(x: Tensor, size: tuple[int, int], mode: ResizeMode = "bilinear") -> Tensor:
    """One output pixel at a time, from the four (or the one) nearest to its place in the input."""
    _check_mode(mode)
    scale_h, scale_w = x.shape[2] / size[0], x.shape[3] / size[1]
    pixels = []
    for row in range(size[0]):
        for col in range(size[1]):
            if mode == "nearest":
                pixels.append(x[:, :, int(row * scale_h), int(col * scale_w)])
                continue
            top, bottom, down = _neighbours(row, scale_h, x.shape[2])
            left, right, along = _neighbours(col, scale_w, x.shape[3])
            above = (1 - along) * x[:, :, top, left] + along * x[:, :, top, right]
            below = (1 - along) * x[:, :, bottom, left] + along * x[:, :, bottom, right]
            pixels.append((1 - down) * above + down * below)
    return torch.stack(pixels, dim=2).unflatten(2, size)  # [B, C, OH, OW]


def _neighbours(index: int, scale: float, length: int) -> tuple[int, int, float]:
    """The two input positions around output `index`, and the weight of the second."""
    position = max((index + 0.5) * scale - 0.5, 0.0)
    first = min(int(position), length - 1)
    return first, min(first + 1, length - 1), position - first


def _scratch_interpolate(x: Tensor, size: tuple[int, int], mode: ResizeMode = "bilinear") -> Tensor:
    """Resizing is linear and separable: one matrix for the rows, one for the columns."""
    _check_mode(mode)
    rows = _interpolation_matrix(x.shape[2], size[0], mode).to(x)  # [OH, H]
    cols = _interpolation_matrix(x.shape[3], size[1], mode).to(x)  # [OW, W]
    return rows @ x @ cols.T  # [B, C, OH, OW]


def _interpolation_matrix(length: int, out_length: int, mode: ResizeMode) -> Tensor:
    """float64 [out_length, length]: the weight of each input pixel in each output pixel."""
    index = torch.arange(out_length, dtype=torch.float64)
    if mode == "nearest":
        position = (index * (length / out_length)).floor()
    else:  # pixel centres lie at half-integers; beyond the outer centres the border is repeated
        position = ((index + 0.5) * (length / out_length) - 0.5).clamp(0, length - 1)
    distance = (position[:, None] - torch.arange(length)).abs()
    return (1 - distance).clamp(min=0)


@primitive(naive=_naive_interpolate, scratch=_scratch_interpolate)
def interpolate(x: Tensor, size: tuple[int, int], mode: ResizeMode = "bilinear") -> Tensor:
    """Resize images or feature maps; pixel centres lie at half-integers (align_corners=False).

    Args:
        x: float [B, C, H, W].
        size: (OH, OW).
        mode: "bilinear" or "nearest".

    Returns:
        [B, C, OH, OW].

    Raises:
        SeglibError: another mode.
    """
    _check_mode(mode)
    return F.interpolate(x, size, mode=mode, align_corners=False if mode == "bilinear" else None)


def _check_mode(mode: str) -> None:
    if mode not in ("bilinear", "nearest"):
        raise SeglibError(f"interpolate: mode must be 'bilinear' or 'nearest', not {mode!r}")
