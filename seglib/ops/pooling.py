"""Max pooling: the largest value of every window."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from seglib.errors import SeglibError
from seglib.ops.windows import IntPair, pair, tap_views
from seglib.primitives import primitive


def _naive_max_pool2d(
    x: Tensor,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """One window at a time."""
    (kh, kw), (sh, sw) = pair(kernel_size), pair(kernel_size if stride is None else stride)
    padded, (oh, ow) = _pad_for_windows(x, (kh, kw), (sh, sw), pair(padding), ceil_mode)
    # Among equal values the first gets the gradient, as in PyTorch: hence max over a dimension.
    maxima = [
        plane[row : row + kh, col : col + kw].flatten().max(dim=0).values
        for plane in padded.flatten(0, 1)
        for row in range(0, oh * sh, sh)
        for col in range(0, ow * sw, sw)
    ]
    return torch.stack(maxima).reshape(*x.shape[:2], oh, ow)  # [B, C, OH, OW]


def _scratch_max_pool2d(
    x: Tensor,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """The pixels under each tap of the window, stacked; the maximum is over the taps."""
    kernel, step = pair(kernel_size), pair(kernel_size if stride is None else stride)
    padded, _ = _pad_for_windows(x, kernel, step, pair(padding), ceil_mode)
    taps = torch.stack(tap_views(padded, kernel, step, (0, 0)), dim=2)  # [B, C, kh·kw, OH, OW]
    return taps.max(dim=2).values  # [B, C, OH, OW]


@primitive(naive=_naive_max_pool2d, scratch=_scratch_max_pool2d)
def max_pool2d(
    x: Tensor,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """Keep the largest value of every window; among equals, the first gets the gradient.

    Args:
        x: [B, C, H, W].
        kernel_size: size of the window; one number or (vertical, horizontal), as for stride and
            padding.
        stride: step between windows; None means kernel_size.
        padding: width of the border of −∞, at most half the kernel size.
        ceil_mode: keep a last window that extends over the border, if it starts inside.

    Returns:
        [B, C, OH, OW] with OH = ⌊(H + 2·padding − kh) / stride⌋ + 1, or with ⌈…⌉ + 1 in ceil mode.

    Raises:
        SeglibError: a window or padding that does not fit, in "naive" and "scratch"; "native"
            raises PyTorch's RuntimeError.
    """
    return F.max_pool2d(x, kernel_size, stride, padding, ceil_mode=ceil_mode)


def _pad_for_windows(
    x: Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    ceil_mode: bool,
) -> tuple[Tensor, tuple[int, int]]:
    """Pad with −∞ so that every window lies inside; also returns the number of windows (OH, OW)."""
    borders, counts = [], []
    for n, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True):
        if p > k // 2 or n + 2 * p < k:
            raise SeglibError(
                f"max_pool2d: a window of {k} px with padding {p} does not fit an input of {n} px "
                "(padding is at most half the window)"
            )
        count = (n + 2 * p - k) // s + 1
        # A window over the border counts only if it starts in the image or its left border.
        if ceil_mode and count * s < n + p and (n + 2 * p - k) % s:
            count += 1
        borders.append((p, max(p, (count - 1) * s + k - n - p)))
        counts.append(count)
    (top, bottom), (left, right) = borders
    padded = F.pad(x, (left, right, top, bottom), value=float("-inf"))
    return padded, (counts[0], counts[1])
