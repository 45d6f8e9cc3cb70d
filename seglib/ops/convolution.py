"""Convolution in three bodies: loops, im2col with a matrix product, and PyTorch's own.

As everywhere in deep learning, "convolution" means cross-correlation: the kernel is not
flipped (Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from seglib.errors import SeglibError
from seglib.ops.windows import IntPair, im2col, output_length, pair
from seglib.primitives import primitive


def _naive_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    groups: int = 1,
) -> Tensor:
    """One output at a time: the sum of the products of window and kernel."""
    _check_shapes(x, weight, groups)
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    out_channels, group_channels, kh, kw = weight.shape
    oh = output_length(x.shape[2], kh, sh, ph, dh)
    ow = output_length(x.shape[3], kw, sw, pw, dw)
    padded = F.pad(x, (pw, pw, ph, ph))  # [B, C, H + 2·ph, W + 2·pw]
    values = []
    for image in padded:
        for o in range(out_channels):
            # Output channel o sees only the input channels of its own group.
            first = o // (out_channels // groups) * group_channels
            for row in range(0, oh * sh, sh):
                for col in range(0, ow * sw, sw):
                    window = image[
                        first : first + group_channels,
                        row : row + dh * (kh - 1) + 1 : dh,
                        col : col + dw * (kw - 1) + 1 : dw,
                    ]
                    value = (window * weight[o]).sum()
                    values.append(value if bias is None else value + bias[o])
    return torch.stack(values).reshape(len(x), out_channels, oh, ow)  # [B, O, OH, OW]


def _scratch_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    groups: int = 1,
) -> Tensor:
    """Every window is a column, every kernel a row: one matrix product per group."""
    _check_shapes(x, weight, groups)
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    out_channels, _, kh, kw = weight.shape
    oh = output_length(x.shape[2], kh, sh, ph, dh)
    ow = output_length(x.shape[3], kw, sw, pw, dw)
    columns = im2col(x, (kh, kw), stride, padding, dilation)  # [B, C·kh·kw, OH·OW]
    columns = columns.unflatten(1, (groups, -1))  # [B, G, C/G·kh·kw, OH·OW]
    kernels = weight.flatten(1).unflatten(0, (groups, -1))  # [G, O/G, C/G·kh·kw]
    y = (kernels @ columns).reshape(len(x), out_channels, oh, ow)  # [B, O, OH, OW]
    return y if bias is None else y + bias[:, None, None]


@primitive(naive=_naive_conv2d, scratch=_scratch_conv2d)
def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    groups: int = 1,
) -> Tensor:
    """Slide kernels over an image; each output is the sum of the products of window and kernel.

    Args:
        x: [B, C, H, W].
        weight: [O, C/groups, kh, kw], one kernel per output channel.
        bias: [O] or None.
        stride: step between windows; one number or (vertical, horizontal), as for padding and
            dilation.
        padding: number of zeros added at each border.
        dilation: step between the taps of one kernel; 1 is dense.
        groups: number of groups into which the channels are divided; each output channel reads
            only its own group.

    Returns:
        [B, O, OH, OW] with OH = ⌊(H + 2·padding − dilation·(kh−1) − 1) / stride⌋ + 1.

    Raises:
        SeglibError: shapes that do not fit, in "naive" and "scratch"; "native" raises PyTorch's
            RuntimeError.
    """
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _check_shapes(x: Tensor, weight: Tensor, groups: int) -> None:
    if x.ndim != 4 or weight.ndim != 4:
        raise SeglibError(
            f"conv2d needs x [B, C, H, W] and weight [O, C/groups, kh, kw], "
            f"got {list(x.shape)} and {list(weight.shape)}"
        )
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise SeglibError(
            f"conv2d: {x.shape[1]} input channels in {groups} group(s) do not fit weight "
            f"{list(weight.shape)} = [O, C/groups, kh, kw]"
        )
