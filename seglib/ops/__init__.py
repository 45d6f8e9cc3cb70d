"""Pure tensor functions without state; the swappable ones are `seglib.primitives`."""

from seglib.ops.convolution import conv2d
from seglib.ops.normalization import batch_norm
from seglib.ops.pooling import max_pool2d
from seglib.ops.transposed_convolution import conv_transpose2d
from seglib.ops.windows import col2im, im2col

__all__ = [
    "batch_norm",
    "col2im",
    "conv2d",
    "conv_transpose2d",
    "im2col",
    "max_pool2d",
]
