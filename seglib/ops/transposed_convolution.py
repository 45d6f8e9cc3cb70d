"""Transposed convolution: every input pixel stamps the kernel, scaled, onto a larger canvas.

It is the transpose of a convolution as a linear map, that is, the backward pass of `conv2d`
with respect to its input; it restores the shape, not the values (it is not an inverse).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from seglib.errors import SeglibError
from seglib.ops.windows import IntPair, col2im, pair
from seglib.primitives import primitive


def _naive_conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
) -> Tensor:
    """One stamp at a time, added to the canvas; the padding is cut off at the end."""
    _check_shapes(x, weight, groups)
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    in_channels, group_out, kh, kw = weight.shape
    oh, ow = _output_size(x, weight, stride, padding, output_padding, dilation)
    canvas = x.new_zeros(len(x), group_out * groups, oh + 2 * ph, ow + 2 * pw)
    for b in range(len(x)):
        for c in range(in_channels):
            first = c // (in_channels // groups) * group_out
            for row in range(x.shape[2]):
                for col in range(x.shape[3]):
                    canvas[
                        b,
                        first : first + group_out,
                        row * sh : row * sh + dh * (kh - 1) + 1 : dh,
                        col * sw : col * sw + dw * (kw - 1) + 1 : dw,
                    ] += x[b, c, row, col] * weight[c]
    y = canvas[:, :, ph : ph + oh, pw : pw + ow]  # [B, O, OH, OW]
    return y if bias is None else y + bias[:, None, None]


def _scratch_conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
) -> Tensor:
    """All stamps by one matrix product, then added up by col2im: conv2d's steps in reverse."""
    _check_shapes(x, weight, groups)
    oh, ow = _output_size(x, weight, stride, padding, output_padding, dilation)
    # Every stamp fits on the canvas; the rows and columns of output_padding get none.
    canvas_size = _output_size(x, weight, stride, 0, 0, dilation)
    pixels = x.flatten(2).unflatten(1, (groups, -1))  # [B, G, C/G, H·W]
    kernels = weight.flatten(1).unflatten(0, (groups, -1))  # [G, C/G, O/G·kh·kw]
    stamps = kernels.transpose(1, 2) @ pixels  # [B, G, O/G·kh·kw, H·W]
    kernel_size = (weight.shape[2], weight.shape[3])
    stamps = stamps.flatten(1, 2)  # [B, O·kh·kw, H·W]
    canvas = col2im(stamps, canvas_size, kernel_size, stride, 0, dilation)
    (ph, pw), (extra_h, extra_w) = pair(padding), pair(output_padding)
    canvas = F.pad(canvas, (0, extra_w, 0, extra_h))
    y = canvas[:, :, ph : ph + oh, pw : pw + ow]  # [B, O, OH, OW]
    return y if bias is None else y + bias[:, None, None]


@primitive(naive=_naive_conv_transpose2d, scratch=_scratch_conv_transpose2d)
def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
) -> Tensor:
    """Upsample with kernels: the layer that Long et al. 2015 (section 3.3) call deconvolution.

    Args:
        x: [B, C, H, W].
        weight: [C, O/groups, kh, kw]; input channels come first, unlike in `conv2d`.
        bias: [O] or None.
        stride: distance between neighbouring stamps, the upsampling factor.
        padding: this much is cut off at each border of the canvas.
        output_padding: rows and columns added below and right, to choose among the sizes
            that `conv2d` with this stride maps to the same one; less than stride or dilation.
        groups: the channels are divided into this many groups that do not see each other.
        dilation: step between the taps of one stamp.

    Returns:
        [B, O, OH, OW] with OH = (H−1)·stride − 2·padding + dilation·(kh−1) + output_padding + 1.

    Raises:
        SeglibError: (naive and scratch) shapes that do not fit; PyTorch's RuntimeError natively.
    """
    plain = pair(padding) == pair(output_padding) == (0, 0) and groups == 1
    if plain and pair(dilation) == (1, 1) and pair(stride) == tuple(weight.shape[2:]):
        return _side_by_side(x, weight, bias)
    return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)


def _side_by_side(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Stamps as large as the stride never overlap: one matrix product puts them side by side.

    PyTorch's own backward pass takes several times as long on a CPU (Mask R-CNN's last layer).
    """
    batch, _, height, width = x.shape
    _, out, kh, kw = weight.shape
    kernels = weight.permute(0, 2, 3, 1).flatten(1)  # [C, kh·kw·O]
    stamps = x.permute(0, 2, 3, 1) @ kernels  # [B, H, W, kh·kw·O]
    if bias is not None:
        stamps = stamps + bias.to(stamps.dtype).repeat(kh * kw)
    rows = stamps.view(batch, height, width, kh, kw, out).transpose(2, 3)  # [B, H, kh, W, kw, O]
    y = rows.reshape(batch, height * kh, width * kw, out)  # [B, OH, OW, O]
    return y.permute(0, 3, 1, 2)


def _output_size(
    x: Tensor,
    weight: Tensor,
    stride: IntPair,
    padding: IntPair,
    output_padding: IntPair,
    dilation: IntPair,
) -> tuple[int, int]:
    height, width = (
        (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for n, k, s, p, extra, d in zip(
            x.shape[2:],
            weight.shape[2:],
            pair(stride),
            pair(padding),
            pair(output_padding),
            pair(dilation),
            strict=True,
        )
    )
    if height < 1 or width < 1:
        raise SeglibError(
            f"conv_transpose2d: padding {padding} leaves no output for an input "
            f"{list(x.shape)}: use less padding"
        )
    extra_h, extra_w = pair(output_padding)
    limits = [max(s, d) for s, d in zip(pair(stride), pair(dilation), strict=True)]
    if extra_h >= limits[0] or extra_w >= limits[1]:
        raise SeglibError(
            f"conv_transpose2d: output_padding {output_padding} must be less than the larger of "
            f"stride {stride} and dilation {dilation}"
        )
    return height, width


def _check_shapes(x: Tensor, weight: Tensor, groups: int) -> None:
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[0] or x.shape[1] % groups:
        raise SeglibError(
            f"conv_transpose2d needs x [B, C, H, W] and weight [C, O/groups, kh, kw] with "
            f"{groups} group(s) in C, got {list(x.shape)} and {list(weight.shape)}"
        )
