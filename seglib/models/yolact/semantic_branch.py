"""The auxiliary semantic segmentation loss (YOLACT, section 4.2).

The branch is used only in training: its gradient improves the features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from seglib.distributed import global_mean_count
from seglib.models.targets import SizedTarget
from seglib.models.yolact.networks import xavier_initialise
from seglib.models.yolact.targets import masks_in_cells
from seglib.nn.layers import Conv2d
from seglib.ops.precision import at_least_float32


class SemanticBranch(nn.Module):
    """One 1x1 convolution on the finest level of the pyramid.

    Args:
        in_channels: F, channels of the pyramid.
        classes: C, without background; each has a sigmoid of its own.
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.logits = Conv2d(in_channels, classes, kernel_size=1)
        xavier_initialise(self)

    def forward(self, finest: Tensor) -> Tensor:
        """[B, F, h, w] -> logits [B, C, h, w]."""
        return at_least_float32(self.logits(finest))

    def loss(
        self,
        finest: Tensor,
        objects: Sequence[SizedTarget],
        canvas: tuple[int, int],
        binary: bool = True,
    ) -> Tensor:
        """The mean of `semantic_loss` over the images, a scalar.

        Args:
            finest: [B, F, h, w], the finest level of the pyramid.
            objects: the objects of each image.
            canvas: (H, W) of the padded batch in pixels.
            binary: see `masks_in_cells`.
        """
        logits = self(finest)  # [B, C, h, w]
        cells = (logits.shape[-2], logits.shape[-1])
        masks = [
            masks_in_cells(target.masks, canvas, cells, binary) for target in objects
        ]  # [G, h, w] each
        targets = semantic_targets(masks, [target.labels for target in objects], logits.shape[1])
        total = semantic_loss(logits, targets.to(logits))
        return total / global_mean_count(len(logits))


def semantic_targets(masks: Sequence[Tensor], labels: Sequence[Tensor], classes: int) -> Tensor:
    """The map of each class: the union of its objects' masks.

    Args:
        masks: [G, h, w] for each image, in 0…1.
        labels: int64 [G] for each image, 1…C.
        classes: C.

    Returns:
        [B, C, h, w] in 0…1.
    """
    maps = masks[0].new_zeros(len(masks), classes, *masks[0].shape[1:])
    for class_maps, image_masks, image_labels in zip(maps, masks, labels, strict=True):
        class_maps.index_add_(0, image_labels - 1, image_masks)  # [C, h, w]
    return maps.clamp(max=1)


def semantic_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy per class, averaged over the cells only (section 4.2).

    Args:
        logits: [B, C, h, w].
        targets: the same shape, in 0…1.

    Returns:
        the sum over classes and images, a scalar.
    """
    total = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return total / (logits.shape[-2] * logits.shape[-1])
