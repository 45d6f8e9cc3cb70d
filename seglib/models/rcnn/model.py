"""R-CNN: Rich feature hierarchies for accurate object detection and semantic segmentation.

Girshick, Donahue, Darrell, Malik, CVPR 2014 (arXiv 1311.2524).

The idea: an older method proposes about two thousand regions that may be objects, a convolutional
network trained for another task describes each of them, and linear classifiers, one per class,
recognise them. Nothing is trained end to end: each part is fitted to the output of the previous
one.

    image [3, H, W]
      propose    grouping, or any other method   boxes    [N, 4]
      warp       cut out, resize to a square     crops    [N, 3, S, S]
      features   the network, N times            features [N, D]
      classify   a linear SVM per class          margins  [N, C]
      regress    a ridge regression per class    boxes    [N, C, 4]
      select     greedy NMS per class            detections

It is not a `Segmenter`: it has no loss, and no gradient reaches the network. And it is slow: the
network runs once per region, although neighbouring regions share most of their pixels. `RCNN.cost`
counts these passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from seglib.errors import SeglibError
from seglib.models.rcnn.config import RCNNConfig
from seglib.models.rcnn.cost import StepCost
from seglib.models.rcnn.fitting import (
    Examples,
    FittedParts,
    fit_parts,
    region_signs,
    regression_targets,
)
from seglib.models.rcnn.grouping import propose_boxes
from seglib.models.rcnn.proposers import Proposer
from seglib.models.rcnn.warp import warp_regions
from seglib.ops.boxes import decode_deltas
from seglib.ops.detections import select_detections
from seglib.ops.images import PIXEL_MEAN, normalise_pixels
from seglib.structures import Categories, Instances, Prediction, Target, check_images

Progress = Callable[[int, int], None]


class RCNN:
    """The pipeline of 2014; its steps are methods that can be called one by one.

    Args:
        backbone: a trained network, which stays unchanged. It maps normalised crops [B, 3, S, S] to
            a feature map [B, K, h, w] or a tuple of maps, of which the last is used (the paper's
            pool5). A `ResNet` or `VGG` of seglib.nn fits.
        categories: what the labels mean.
        proposer: the source of regions; see `proposals_of` for a learned one.
        config: constants; None means `RCNNConfig.pocket()`.

    Attributes:
        cost: seconds per step and number of crops through the network, in all calls so far.
        parts: the fitted parts, or None.
    """

    def __init__(
        self,
        backbone: nn.Module,
        categories: Categories,
        proposer: Proposer = propose_boxes,
        config: RCNNConfig | None = None,
    ) -> None:
        self.backbone = backbone
        self.categories = categories
        self.config = config or RCNNConfig.pocket()
        self.cost = StepCost()
        self.parts: FittedParts | None = None
        self.proposer = proposer

    def propose(self, image: Tensor) -> Tensor:
        """Step 1: propose regions. Image [3, H, W] in 0…1 -> boxes [N, 4]."""
        check_images([image])
        with self.cost.step("propose"):
            return self.proposer(image)[: self.config.max_proposals].to(image)

    def warp(self, image: Tensor, boxes: Tensor) -> Tensor:
        """Step 2: image [3, H, W], boxes [N, 4] -> crops [N, 3, S, S] in 0…1.

        Outside the image, crops have the mean colour, which normalisation turns into zero.
        """
        with self.cost.step("warp"):
            config = self.config
            return warp_regions(image, boxes, config.crop_size, config.context, PIXEL_MEAN)

    @torch.no_grad()
    def features(self, crops: Tensor, batch_size: int = 64) -> Tensor:
        """Step 3: crops [N, 3, S, S] in 0…1 -> features [N, D], by N forward passes."""
        with self.cost.step("features"):
            self.backbone.eval()
            like = next(self.backbone.parameters(), crops)
            maps = [
                _last_map(self.backbone(normalise_pixels(batch.to(like))))  # [b, K, h, w]
                for batch in crops.split(batch_size)
            ]
            self.cost.forward_passes += len(crops)
            scale = self.parts.feature_scale if self.parts else 1.0
            return torch.cat(maps).flatten(1) * scale  # [N, K, h, w] -> [N, D]

    def classify(self, features: Tensor) -> Tensor:
        """Step 4: features [N, D] -> margins [N, C]; above 0 means yes."""
        with self.cost.step("classify"):
            return self._fitted().classifier(features)

    def regress(self, boxes: Tensor, features: Tensor) -> Tensor:
        """Step 5: each box [N, 4] corrected by each class's regressor, [N, C, 4]."""
        with self.cost.step("regress"):
            deltas = [regressor(features) for regressor in self._fitted().regressors]  # [N, 4] each
            return decode_deltas(boxes[:, None], torch.stack(deltas, dim=1).to(boxes))

    def predict(self, image: Tensor) -> Prediction:
        """All steps, then suppression within each class.

        Args:
            image: float [3, H, W] in 0…1.

        Returns:
            instances without masks. A score is the sigmoid of a margin, so that 0.5 separates yes
            from no, but not a probability.

        Raises:
            SeglibError: before `fit`.
        """
        boxes = self.propose(image)  # [N, 4]
        features = self.features(self.warp(image, boxes))  # [N, D]
        margins = self.classify(features)  # [N, C]
        corrected = self.regress(boxes, features)  # [N, C, 4]
        size = (image.shape[-2], image.shape[-1])
        with self.cost.step("select"):
            found = select_detections(
                corrected,
                margins.sigmoid().to(boxes),
                size,
                float(torch.tensor(self.config.margin_threshold).sigmoid()),
                self.config.nms_iou,
                self.config.max_detections,
                min_size=1.0,
            )
        self.cost.images += 1
        instances = Instances(found.boxes, found.scores, found.classes + 1)
        return Prediction(size, self.categories, instances)

    def fit(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Target],
        progress: Progress | None = None,
    ) -> Self:
        """Compute the features of all regions of all images, then fit the parts to them.

        All features are kept in memory, N·D numbers per image; the authors kept them on disk.

        Args:
            images: float [3, H, W] in 0…1.
            targets: one per image.
            progress: called with (images done, number of images).

        Raises:
            SeglibError: the numbers of images and targets differ, or there is no object at all.
        """
        check_images(images)
        if len(images) != len(targets):
            raise SeglibError(f"fit got {len(images)} images but {len(targets)} targets")
        self.parts = None
        examples = []
        for index, (image, target) in enumerate(zip(images, targets, strict=True)):
            boxes = torch.cat([target.boxes.to(image), self.propose(image)])
            features = self.features(self.warp(image, boxes))
            signs = region_signs(boxes, target, len(self.categories), self.config.negative_iou)
            labels, deltas = regression_targets(boxes, target, self.config.regression_iou)
            box_targets = (x.to(features.device) for x in (signs, labels, deltas))
            examples.append(Examples(features, *box_targets))
            if progress is not None:
                progress(index + 1, len(images))
        joined = Examples.join(examples)
        if not (joined.signs > 0).any():
            raise SeglibError("fit found no object in the targets: R-CNN needs at least one")
        self.parts = fit_parts(joined, self.config)
        return self

    def _fitted(self) -> FittedParts:
        if self.parts is None:
            raise SeglibError("this R-CNN is not fitted yet: call fit(images, targets) first")
        return self.parts


def _last_map(output: Tensor | Sequence[Tensor]) -> Tensor:
    return output if isinstance(output, Tensor) else output[-1]
