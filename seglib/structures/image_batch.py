"""Images of several sizes in one tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seglib.errors import SeglibError

Size = tuple[int, int]  # (H, W) in pixels or cells


@dataclass(eq=False)
class ImageBatch:
    """Images of different sizes in one tensor, padded at the right and the bottom.

    Attributes:
        tensor: float32 [B, 3, H, W].
        sizes: the true (H, W) of every image.
    """

    tensor: Tensor
    sizes: list[Size] = field(default_factory=list)

    @classmethod
    def from_images(
        cls,
        images: Sequence[Tensor],
        divisor: int = 1,
        pad_value: float = 0.0,
        *,
        square: bool = False,
    ) -> ImageBatch:
        """Pad images to the largest height and width, rounded up to a multiple of `divisor`.

        Args:
            images: float tensors [3, h_i, w_i], at least one; see `check_images`.
            divisor: the batch's height and width are multiples of it.
            pad_value: the value of the padding.
            square: make height and width equal, to the larger of the two.
        """
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        largest = (max(h for h, _ in sizes), max(w for _, w in sizes))
        if square:
            largest = (max(largest), max(largest))
        height, width = (-(-side // divisor) * divisor for side in largest)
        tensor = images[0].new_full((len(images), 3, height, width), pad_value)  # [B, 3, H, W]
        for index, (image, (h, w)) in enumerate(zip(images, sizes, strict=True)):
            tensor[index, :, :h, :w] = image
        return cls(tensor, sizes)

    @property
    def canvas(self) -> Size:
        """(H, W) of the padded tensor."""
        return self.tensor.shape[-2], self.tensor.shape[-1]

    @property
    def padding_mask(self) -> Tensor:
        """bool [B, H, W], True in the padding."""
        mask = torch.ones(
            len(self.sizes), *self.tensor.shape[-2:], dtype=torch.bool, device=self.tensor.device
        )
        for row, (height, width) in zip(mask, self.sizes, strict=True):
            row[:height, :width] = False
        return mask

    def __len__(self) -> int:
        return len(self.sizes)


def check_images(images: Sequence[Tensor]) -> None:
    """Refuse images that no model can process.

    Raises:
        SeglibError: there is no image, or one that is not a float [3, H, W] tensor, has no pixels,
            or contains NaN or infinity.
    """
    if len(images) == 0:
        raise SeglibError("a batch needs at least one image")
    for index, image in enumerate(images):
        if not isinstance(image, Tensor) or image.ndim != 3 or image.shape[0] != 3:
            shape = list(getattr(image, "shape", [])) or type(image).__name__
            raise SeglibError(f"image {index} must be a [3, H, W] tensor, got {shape}")
        if not image.is_floating_point():
            raise SeglibError(
                f"image {index} must be float in 0…1, got {image.dtype}: divide bytes by 255"
            )
        if image.numel() == 0:
            raise SeglibError(f"image {index} has no pixels: its shape is {list(image.shape)}")
        if not all_finite(image):
            raise SeglibError(f"image {index} has NaN or infinite pixels: they must be in 0…1")


def all_finite(values: Tensor) -> bool:
    """Whether no value is NaN or infinite; on a CPU much faster than `isfinite().all()`."""
    if values.numel() == 0:
        return True
    low, high = values.detach().aminmax()  # both are NaN if any value is
    return math.isfinite(low) and math.isfinite(high)
