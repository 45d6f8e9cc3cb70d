"""Sliding windows: the index arithmetic that convolution and pooling share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from seglib.errors import SeglibError

IntPair = int | tuple[int, ...]


def pair(value: IntPair) -> tuple[int, int]:
    """(vertical, horizontal); a single number is used for both."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def output_length(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """The number of window positions along one axis: ⌊(n + 2p − d(k−1) − 1) / s⌋ + 1.

    Raises:
        SeglibError: the window is larger than the padded input.
    """
    span = dilation * (kernel - 1) + 1
    if size + 2 * padding < span:
        raise SeglibError(
            f"a window of {span} px does not fit an input of {size} px with padding {padding}: "
            "enlarge the input or the padding"
        )
    return (size + 2 * padding - span) // stride + 1


def im2col(
    x: Tensor,
    kernel_size: IntPair,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
) -> Tensor:
    """Copy every window into a column, so that a convolution becomes a matrix product.

    The loop is over the kernel's taps only: the pixels under tap (i, j) at all window positions
    are one strided slice of the image.

    Args:
        x: [B, C, H, W].
        kernel_size: (kh, kw), or one number for both; so are the next three.
        stride: step between windows.
        padding: zeros added at each border.
        dilation: step between the taps of one window.

    Returns:
        [B, C·kh·kw, OH·OW], rows ordered by channel, then tap row, then tap column;
        the layout of `torch.nn.functional.unfold`.
    """
    taps = tap_views(x, pair(kernel_size), pair(stride), pair(padding), pair(dilation))
    columns = torch.stack(taps, dim=2)  # [B, C, kh·kw, OH, OW]
    return columns.flatten(3).flatten(1, 2)  # [B, C·kh·kw, OH·OW]


def tap_views(
    x: Tensor,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> list[Tensor]:
    """The pixels under each tap at all window positions: kh·kw tensors [B, C, OH, OW]."""
    (kh, kw), (dh, dw) = kernel_size, dilation
    oh = output_length(x.shape[2], kh, stride[0], padding[0], dh)
    ow = output_length(x.shape[3], kw, stride[1], padding[1], dw)
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))  # [B, C, H+2ph, W+2pw]
    return [
        padded[
            :,
            :,
            i * dh : i * dh + stride[0] * (oh - 1) + 1 : stride[0],
            j * dw : j * dw + stride[1] * (ow - 1) + 1 : stride[1],
        ]
        for i in range(kh)
        for j in range(kw)
    ]


def col2im(
    columns: Tensor,
    output_size: tuple[int, int],
    kernel_size: IntPair,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
) -> Tensor:
    """Add every column back where `im2col` took it from; pixels in several windows get the sum.

    It is the transpose of `im2col` as a linear map (not its inverse), and so its backward pass.

    Args:
        columns: [B, C·kh·kw, L], one column per window position.
        output_size: (H, W) of the image the windows slide over.
        kernel_size: as in `im2col`; so are the next three.
        stride: step between windows.
        padding: border that is cut off at the end.
        dilation: step between the taps of one window.

    Returns:
        [B, C, H, W].
    """
    (kh, kw), (sh, sw), (ph, pw) = pair(kernel_size), pair(stride), pair(padding)
    dh, dw = pair(dilation)
    oh = output_length(output_size[0], kh, sh, ph, dh)
    ow = output_length(output_size[1], kw, sw, pw, dw)
    batch, rows, _ = columns.shape
    taps = columns.reshape(batch, rows // (kh * kw), kh, kw, oh, ow)  # [B, C, kh, kw, OH, OW]
    canvas = columns.new_zeros(
        batch, taps.shape[1], output_size[0] + 2 * ph, output_size[1] + 2 * pw
    )
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            canvas[
                :, :, top : top + sh * (oh - 1) + 1 : sh, left : left + sw * (ow - 1) + 1 : sw
            ] += taps[:, :, i, j]
    return canvas[:, :, ph : ph + output_size[0], pw : pw + output_size[1]]  # [B, C, H, W]
