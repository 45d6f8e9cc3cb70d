"""The mask branch, which Mask R-CNN adds to Faster R-CNN (He et al. 2017, section 3).

    boxes [n, 4] per image
      RoIAlign 14x14         -> [P, F, 14, 14]    P boxes of all images
      four 3x3 convolutions  -> [P, 256, 14, 14]
      2x2 transposed, x2     -> [P, 256, 28, 28]
      1x1                    -> logits [P, K, 28, 28], one mask per class

It learns from foreground boxes only, and predicts only for the final detections.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.distributed import global_mean_count
from seglib.models.mask_rcnn.box_targets import LabelledBoxes
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.models.mask_rcnn.losses import mask_loss, softmax_mask_loss
from seglib.models.mask_rcnn.pooler import PyramidPooler
from seglib.nn.layers import Conv2d, ConvTranspose2d
from seglib.ops.detections import Detections
from seglib.ops.mask_paste import crop_resize_masks
from seglib.ops.precision import at_least_float32


class MaskBranch(nn.Module):
    """The mask head with its pooler, its targets and its loss.

    Args:
        config: the detector's.
        pooler: reads the pyramid inside the boxes.
        classes: K = C + 1.

    Attributes:
        head: the network.
    """

    def __init__(self, config: MaskRCNNConfig, pooler: PyramidPooler, classes: int) -> None:
        super().__init__()
        self.config, self.reference, self.pooler = config, config.reference, pooler
        self.head = MaskHead(config.fpn_width, config.mask_width, config.mask_convolutions, classes)

    def forward(self, pyramid: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """[n, 4] boxes of each image in pixels -> logits [P, K, M, M], image after image."""
        logits: Tensor = self.head(self.pooler(pyramid, boxes))  # [P, F, S, S] -> [P, K, 2S, 2S]
        return logits

    def loss(self, pyramid: Sequence[Tensor], sampled: list[LabelledBoxes]) -> Tensor:
        """The mask loss of the foreground boxes, a scalar."""
        foreground = [b[b.labels > 0] for b in sampled]
        logits = self(pyramid, [b.boxes for b in foreground])  # [P, K, M, M]
        labels = torch.cat([b.labels for b in foreground])  # [P]
        targets = torch.cat([self._targets(b, logits.shape[-1]) for b in foreground])  # [P, M, M]
        loss = mask_loss if self.config.mask_competition == "sigmoid" else softmax_mask_loss
        return loss(logits, labels, targets, global_mean_count(len(labels)))

    def _targets(self, boxes: LabelledBoxes, size: int) -> Tensor:
        """[n, M, M]: the part of each box's object that lies inside the box (section 3)."""
        return crop_resize_masks(
            boxes.truth.masks,
            boxes.boxes,
            size,
            boxes.index,
            threshold=self.reference.mask_threshold,
            aligned=self.reference.aligned,
        )

    def masks(self, pyramid: Sequence[Tensor], detections: Sequence[Detections]) -> list[Tensor]:
        """[d, M, M] for each image: the probabilities of the detected classes' masks."""
        logits = self(pyramid, [d.boxes for d in detections])  # [P, K, M, M]
        # A sigmoid per class: the box head decides the class, so masks need not compete (table 2b).
        competing = self.config.mask_competition == "softmax"
        probabilities = logits.softmax(1) if competing else logits.sigmoid()
        labels = torch.cat([d.classes + 1 for d in detections])  # [P]
        chosen = probabilities[torch.arange(len(labels), device=labels.device), labels]  # [P, M, M]
        return list(chosen.split([len(d.boxes) for d in detections]))


class MaskHead(nn.Module):
    """A small fully convolutional network on every box; layers named as in torchvision.

    Convolutions preserve pixel positions, which fully connected layers would have to learn.

    Args:
        in_channels: F, channels of the pyramid.
        width: channels of all layers.
        convolutions: number of 3x3 layers before the upsampling; 4 in the paper (figure 4).
        classes: K = C + 1; channel 0 belongs to background and is not trained (unless masks
            compete, see `softmax_mask_loss`).
    """

    def __init__(self, in_channels: int, width: int, convolutions: int, classes: int) -> None:
        super().__init__()
        inputs = [in_channels] + [width] * (convolutions - 1)
        self.convs = nn.ModuleList(Conv2d(c, width, kernel_size=3, padding=1) for c in inputs)
        self.conv5_mask = ConvTranspose2d(width, width, kernel_size=2, stride=2)
        self.mask_fcn_logits = Conv2d(width, classes, kernel_size=1)
        for layer in (*self.convs, self.conv5_mask, self.mask_fcn_logits):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """[P, F, S, S] -> logits [P, K, 2S, 2S]."""
        hidden = pooled
        for convolution in self.convs:
            hidden = F.relu(convolution(hidden), inplace=True)  # [P, width, S, S]
        # Not in place: the upsampled map is a view, for which autograd would copy it all again.
        hidden = F.relu(self.conv5_mask(hidden))  # [P, width, 2S, 2S]
        return at_least_float32(self.mask_fcn_logits(hidden))  # [P, K, 2S, 2S]
