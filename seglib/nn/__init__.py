"""Modules made of `seglib.ops`: layers, backbones, pyramids."""

from seglib.nn.layers import BatchNorm2d, Conv2d, ConvTranspose2d, FrozenBatchNorm2d, MaxPool2d

__all__ = ["BatchNorm2d", "Conv2d", "ConvTranspose2d", "FrozenBatchNorm2d", "MaxPool2d"]
