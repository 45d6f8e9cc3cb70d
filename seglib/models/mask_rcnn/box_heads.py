"""The box branch: read the pyramid inside each proposal, classify the proposal and correct it.

    proposals [n, 4] per image
      RoIAlign 7x7   -> [R, F, 7, 7]      R proposals of all images
      fc6, fc7       -> [R, 1024]
        cls_score    -> logits [R, K]     K = C + 1 classes, background first
        bbox_pred    -> deltas [R, K, 4]  one correction per class

Fast R-CNN (Girshick 2015) in FPN's form (Lin et al. 2017, section 4.2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from seglib.distributed import global_mean_count
from seglib.models.mask_rcnn.box_targets import LabelledBoxes, label_boxes, sample_boxes
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.models.mask_rcnn.losses import box_losses
from seglib.models.mask_rcnn.pooler import PyramidPooler
from seglib.models.targets import SizedTarget
from seglib.ops.boxes import DeltaWeights, clip_boxes, decode_deltas
from seglib.ops.precision import at_least_float32
from seglib.structures import Size


@dataclass(eq=False)
class BoxHeadsOutput:
    """What the box heads predict for a batch, before any selection.

    Attributes:
        logits: [R, K] class logits of all proposals, image after image; column 0 is background.
        deltas: [R, K, 4] corrections; [R, 1, 4] if they are the same for all classes.
        boxes: per image, [n, C, 4] corrected boxes inside the image; [n, 4] if they are the same
            for all classes.
        scores: per image, [n, C] class probabilities without background.
    """

    logits: Tensor
    deltas: Tensor
    boxes: Sequence[Tensor]
    scores: Sequence[Tensor]


class BoxHeads(nn.Module, ABC):
    """The interface of a detector's box heads, one or several, and what they share.

    Args:
        config: the detector's.
        pooler: reads the pyramid inside the proposals.
        classes: K = C + 1.
    """

    def __init__(self, config: MaskRCNNConfig, pooler: PyramidPooler, classes: int) -> None:
        super().__init__()
        self.config, self.reference = config, config.reference
        self.pooler, self.classes = pooler, classes

    def new_head(self, class_agnostic: bool = False) -> BoxHead:
        """A head with random weights for the pooler's features."""
        pooled = self.config.fpn_width * self.config.box_bins**2
        return BoxHead(pooled, self.config.box_hidden, self.classes, class_agnostic)

    @property
    @abstractmethod
    def foreground_iou(self) -> float:
        """The smallest IoU with an object at which a proposal is foreground for the first head."""

    @property
    @abstractmethod
    def class_layers(self) -> list[str]:
        """Names of the layers with a block of rows per class."""

    @abstractmethod
    def forward(
        self, pyramid: Sequence[Tensor], proposals: Sequence[Tensor], sizes: Sequence[Size]
    ) -> BoxHeadsOutput:
        """Classify and correct the proposals [n, 4] of each image of size (H, W), in pixels."""

    @abstractmethod
    def loss(
        self, pyramid: Sequence[Tensor], sampled: list[LabelledBoxes]
    ) -> tuple[dict[str, Tensor], list[LabelledBoxes]]:
        """The losses by name, and the boxes that the mask branch learns from."""

    def sample(
        self,
        proposals: Sequence[Tensor],
        truth: Sequence[SizedTarget],
        generators: Sequence[Generator],
    ) -> list[LabelledBoxes]:
        """Label each image's proposals and true boxes, and sample boxes to learn from.

        The true boxes ensure that there are positives while the RPN is still untrained.
        """
        config = self.config
        return [
            sample_boxes(
                label_boxes(torch.cat([boxes, t.boxes]), t, self.foreground_iou),  # [n + G]
                config.rois,
                config.positive_fraction,
                generator,
            )
            for boxes, t, generator in zip(proposals, truth, generators, strict=True)
        ]

    def head_losses(
        self, logits: Tensor, deltas: Tensor, sampled: list[LabelledBoxes], weights: DeltaWeights
    ) -> tuple[Tensor, Tensor]:
        """Class and box loss of one head's [R, K] logits and [R, K, 4] deltas."""
        return box_losses(
            logits,
            deltas,
            torch.cat([b.labels for b in sampled]),  # [R]
            torch.cat([b.deltas(weights) for b in sampled]),  # [R, 4]
            global_mean_count(len(logits)),
            self.reference.box_beta,
        )


class SingleBoxHead(BoxHeads):
    """The one box head of Mask R-CNN, with a correction per class.

    Attributes:
        head: the network.
    """

    def __init__(self, config: MaskRCNNConfig, pooler: PyramidPooler, classes: int) -> None:
        super().__init__(config, pooler, classes)
        self.head = self.new_head()

    @property
    def foreground_iou(self) -> float:
        """The config's; 0.5 in Fast R-CNN (section 2.3)."""
        return self.config.foreground_iou

    @property
    def class_layers(self) -> list[str]:
        """The layers of class scores and corrections."""
        return ["head.cls_score", "head.bbox_pred"]

    def forward(
        self, pyramid: Sequence[Tensor], proposals: Sequence[Tensor], sizes: Sequence[Size]
    ) -> BoxHeadsOutput:
        """See `BoxHeads.forward`."""
        counts = [len(boxes) for boxes in proposals]
        logits, deltas = self.head(self.pooler(pyramid, proposals))  # [R, K], [R, K, 4]
        scores = logits.softmax(dim=1)[:, 1:].split(counts)  # [n, C] each
        corners = torch.cat(list(proposals))[:, None]  # [R, 1, 4]
        moved = decode_deltas(corners, deltas, self.config.box_weights)[:, 1:]  # [R, C, 4]
        boxes = [clip_boxes(b, size) for b, size in zip(moved.split(counts), sizes, strict=True)]
        return BoxHeadsOutput(logits, deltas, boxes, scores)

    def loss(
        self, pyramid: Sequence[Tensor], sampled: list[LabelledBoxes]
    ) -> tuple[dict[str, Tensor], list[LabelledBoxes]]:
        """ "class_loss" and "box_loss"; the mask branch learns from the same boxes."""
        pooled = self.pooler(pyramid, [b.boxes for b in sampled])  # [R, F, P, P]
        logits, deltas = self.head(pooled)  # [R, K], [R, K, 4]
        class_loss, box_loss = self.head_losses(logits, deltas, sampled, self.config.box_weights)
        return {"class_loss": class_loss, "box_loss": box_loss}, sampled


class BoxHead(nn.Module):
    """Two fully connected layers, then a class and a correction; layers named as in torchvision.

    Args:
        in_features: number of features of a pooled box, channels times bins.
        hidden: width of both layers; 1024 in FPN.
        classes: K = C + 1, background first.
        class_agnostic: one correction for all classes instead of one per class.
    """

    def __init__(
        self, in_features: int, hidden: int, classes: int, class_agnostic: bool = False
    ) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_features, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.cls_score = nn.Linear(hidden, classes)
        self.bbox_pred = nn.Linear(hidden, 4 * (1 if class_agnostic else classes))
        # Standard deviations as published (Fast R-CNN, section 2.3).
        for layer, spread in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=spread)
        for fully_connected in (self.fc6, self.fc7):
            nn.init.kaiming_uniform_(fully_connected.weight, a=1)
        for layer in (self.fc6, self.fc7, self.cls_score, self.bbox_pred):
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """[R, F, P, P] -> class logits [R, K] and deltas [R, K, 4] (class-agnostic [R, 1, 4])."""
        hidden = F.relu(self._flat_fc6(pooled), inplace=True)  # [R, hidden]
        hidden = F.relu(self.fc7(hidden), inplace=True)
        logits = self.cls_score(hidden)  # [R, K]
        deltas = self.bbox_pred(hidden).unflatten(1, (-1, 4))  # [R, K, 4]
        return at_least_float32(logits), at_least_float32(deltas)

    def _flat_fc6(self, pooled: Tensor) -> Tensor:
        """Apply fc6 to [R, F·P·P]; the smaller one of features and weights is rearranged."""
        weight = self.fc6.weight  # [hidden, F·P·P]
        if not pooled.is_contiguous(memory_format=torch.channels_last) or len(pooled) < len(weight):
            return cast(Tensor, self.fc6(pooled.flatten(1)))
        by_cell = weight.unflatten(1, (pooled.shape[1], -1)).transpose(1, 2).flatten(1)  # P·P·F
        return F.linear(pooled.permute(0, 2, 3, 1).flatten(1), by_cell, self.fc6.bias)
