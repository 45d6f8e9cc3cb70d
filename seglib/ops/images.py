"""Prepare images for a network: resize them, and normalise them with ImageNet's statistics."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

# RGB in 0…1, with which torchvision's weights were trained.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

# Longer side in pixels to which published detectors limit images (Mask R-CNN's code and its
# successors). In larger images, objects are larger than those that a network was trained on.
LARGEST_PUBLISHED_SIDE = 1333


def normalise_pixels(
    images: Tensor, mean: Sequence[float] = PIXEL_MEAN, std: Sequence[float] = PIXEL_STD
) -> Tensor:
    """float [..., 3, H, W] in 0…1 -> about mean 0 and deviation 1 per channel."""
    center, spread = (images.new_tensor(value)[:, None, None] for value in (mean, std))
    return (images - center) / spread


def scaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """(H, W) of an image of `size` after resizing it by `factor`; sides are at least 1 px."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def resize_longer(image: Tensor, longer: int | None) -> Tensor:
    """Resize a float [C, H, W] image so that its longer side is `longer`, if that is given."""
    height, width = image.shape[-2:]
    if longer is None or max(height, width) == longer:
        return image
    size = scaled_size((height, width), longer / max(height, width))
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def resize_shorter(image: Tensor, shorter: int, longest: int) -> Tensor:
    """Resize a float [C, H, W] image so that its shorter side is `shorter`.

    If the longer side would exceed `longest`, it becomes `longest` instead. Sizes are rounded down,
    and there is no antialiasing, as in the training of the published detectors.
    """
    height, width = image.shape[-2:]
    scale = min(shorter / min(height, width), longest / max(height, width))
    size = (int(height * scale), int(width * scale))
    return F.interpolate(image[None], size=size, mode="bilinear")[0]
