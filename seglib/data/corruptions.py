"""Corrupt images with blur or noise, to measure how robust a network is.

Two of the corruptions of Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to
common corruptions and perturbations", as used for detection by Michaelis et al. 2019. The objects
stay where they are, so the target stays the same.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Blur an image; its border pixels are repeated outside.

    Args:
        image: float [3, H, W] in 0…1.
        sigma: standard deviation of the Gaussian in px; 0 leaves the image as it is.

    Returns:
        float [3, H, W].
    """
    if sigma == 0:
        return image
    radius = math.ceil(3 * sigma)
    places = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    weights = torch.exp(-(places**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).view(1, 1, 1, -1)  # [1, 1, 1, 2R + 1]
    channels = image[:, None]  # [3, 1, H, W]
    for pad, kernel in (
        ((radius, radius, 0, 0), weights),
        ((0, 0, radius, radius), weights.transpose(2, 3)),
    ):
        channels = F.conv2d(F.pad(channels, pad, mode="replicate"), kernel)  # [3, 1, H, W]
    return channels[:, 0]  # [3, H, W]


def add_noise(image: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Add Gaussian noise, independent for each pixel and channel; the result stays in 0…1.

    Args:
        image: float [3, H, W] in 0…1.
        sigma: standard deviation of the noise.
        generator: a generator on the CPU, so that the noise is the same on every device.

    Returns:
        float [3, H, W] in 0…1.
    """
    noise = torch.randn(image.shape, generator=generator, dtype=image.dtype)
    return (image + sigma * noise.to(image.device)).clamp(0, 1)
