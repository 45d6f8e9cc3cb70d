"""Mask re-scoring, an option of YOLACT++ (Bolya et al., PAMI 2020, arXiv 1912.06218, section 5.1).

A class score says how sure the network is of the class, not how good the mask is. A small network
predicts the IoU of the finished mask with the object, as in Mask Scoring R-CNN.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.models.yolact.mask_samples import MaskSample
from seglib.models.yolact.masks import crop_masks
from seglib.models.yolact.networks import xavier_initialise
from seglib.nn.layers import Conv2d

WIDTHS = (8, 16, 32, 64, 128)
SMALLEST_SIDE = 2 ** (len(WIDTHS) + 1) - 1  # cells; five unpadded 3x3 layers of stride 2 need it
SMALLEST_AREA = 25.0  # cells; smaller true masks have no loss


class MaskIoUNet(nn.Module):
    """Predict the IoU of a mask with its object, for every class.

    Args:
        classes: C, without background.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Conv2d(inputs, width, kernel_size=3, stride=2)
            for inputs, width in zip((1, *WIDTHS), WIDTHS, strict=False)
        )
        self.iou = Conv2d(WIDTHS[-1], classes, kernel_size=1)
        xavier_initialise(self)

    def forward(self, masks: Tensor) -> Tensor:
        """Cropped mask probabilities [n, h, w] -> [n, C], 0 or more."""
        height, width = masks.shape[-2:]
        below, right = (max(0, SMALLEST_SIDE - side) for side in (height, width))
        hidden = F.pad(masks[:, None], (0, right, 0, below))  # [n, 1, h, w]
        for layer in self.layers:
            hidden = F.relu(layer(hidden))  # [n, width, (h − 1) / 2, (w − 1) / 2]
        return F.relu(self.iou(hidden)).amax(dim=(2, 3))  # [n, C]

    def loss(self, samples: Sequence[MaskSample]) -> Tensor:
        """`mask_iou_loss` of all positives of a batch, a scalar."""
        losses = []
        for sample in samples:
            masks = crop_masks(sample.logits.sigmoid(), sample.boxes)  # [n, h, w]
            iou_loss = mask_iou_loss(self(masks), sample.labels, masks, sample.targets)
            losses.append(sample.weight * iou_loss)
        return torch.stack(losses).sum()


def mask_iou_targets(masks: Tensor, truth: Tensor) -> Tensor:
    """The IoU of each mask, thresholded at one half, with its object.

    Args:
        masks: [n, h, w] probabilities.
        truth: [n, h, w], 0 or 1.

    Returns:
        [n] in 0…1.
    """
    predicted_masks, true_masks = masks > 0.5, truth > 0.5
    both = (predicted_masks & true_masks).sum(dim=(1, 2))  # [n]
    either = (predicted_masks | true_masks).sum(dim=(1, 2))  # [n]
    return both / either.clamp(min=1)


def mask_iou_loss(predicted: Tensor, labels: Tensor, masks: Tensor, truth: Tensor) -> Tensor:
    """Smooth L1 between predicted and true IoU, for objects that are not tiny.

    Args:
        predicted: [n, C].
        labels: int64 [n], 1…C.
        masks: [n, h, w] probabilities.
        truth: [n, h, w], 0 or 1.

    Returns:
        the sum, a scalar.
    """
    large = truth.sum(dim=(1, 2)) > SMALLEST_AREA  # [n]
    class_iou = predicted.gather(1, labels[:, None] - 1)[:, 0]  # [n]
    targets = mask_iou_targets(masks.detach(), truth).to(class_iou)  # [n]
    return F.smooth_l1_loss(class_iou[large], targets[large], reduction="sum")
