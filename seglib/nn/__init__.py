"""Modules that compute with `seglib.ops`: layers, backbones, pyramids, transformers."""

from seglib.nn.layers import BatchNorm2d, Conv2d, ConvTranspose2d, FrozenBatchNorm2d, MaxPool2d

__all__ = ["BatchNorm2d", "Conv2d", "ConvTranspose2d", "FrozenBatchNorm2d", "MaxPool2d"]
