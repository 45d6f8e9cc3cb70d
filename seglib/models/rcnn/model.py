"""R-CNN: Rich feature hierarchies for accurate object detection and semantic segmentation.

Girshick, Donahue, Darrell, Malik, CVPR 2014 (arXiv 1311.2524).

The idea: let an old method propose some two thousand regions that may be objects; a convolutional
network trained for another task describes each of them; a linear classifier a class says what it
is. Nothing here is trained end to end: it is a row of parts, each fitted on what the last gives.

    image [3, H, W]
      propose    grouping, or any other       boxes    [N, 4]
      warp       cut out, squeeze             crops    [N, 3, S, S]
      features   the network, N times         features [N, D]
      classify   a linear SVM a class         margins  [N, C]
      regress    a ridge regression a class   boxes    [N, C, 4]
      select     greedy NMS a class           detections

It is not a `Segmenter`: it has no loss and no gradient reaches the network. And it is slow: the
network runs once a region, and neighbouring regions share most of their pixels, but none of the
work. `RCNN.cost` counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.models.rcnn.cost import StepCost
from seglib.models.rcnn.fitting import (
    Examples,
    FittedParts,
    RCNNConfig,
    fit_parts,
    region_signs,
    regression_targets,
)
from seglib.models.rcnn.grouping import propose_boxes
from seglib.models.rcnn.warp import warp_regions
from seglib.ops.box_coder import decode_deltas
from seglib.ops.detections import select_detections
from seglib.ops.images import PIXEL_MEAN, normalise_pixels
from seglib.structures import Categories, Instances, Prediction, Target, check_images

# An image [3, H, W] in 0…1 -> boxes [N, 4] inside it, the best first.
Proposer = Callable[[Tensor], Tensor]
Progress = Callable[[int, int], None]


class RCNN:
    """The pipeline of 2014, its steps as methods to be called one by one.

    Args:
        backbone: a network that is given and stays as it is: normalised crops [B, 3, S, S] -> a
            feature map [B, K, h, w] or a tuple of them, of which the last counts (the paper's
            pool5). A `ResNet` or `VGG` of seglib.nn will do.
        categories: what the labels mean.
        proposer: where regions come from; see `proposals_of` for a learned source.
        config: constants.

    Attributes:
        proposer: what `propose` asks.
        cost: seconds by step and crops through the network, of all calls so far.
        parts: what was fitted, or None.
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
        """Step 1: where might objects be? Image [3, H, W] in 0…1 -> boxes [N, 4]."""
        check_images([image])
        with self.cost.step("propose"):
            return self.proposer(image)[: self.config.max_proposals].to(image)

    def warp(self, image: Tensor, boxes: Tensor) -> Tensor:
        """Step 2: image [3, H, W], boxes [N, 4] -> crops [N, 3, S, S] in 0…1.

        What lies beyond the image has the mean colour, which normalisation turns to zero.
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
                _last_map(self.backbone(normalise_pixels(batch.to(like))))
                for batch in crops.split(batch_size)
            ]
            self.cost.forward_passes += len(crops)
            scale = self.parts.feature_scale if self.parts else 1.0
            return torch.cat(maps).flatten(1) * scale

    def classify(self, features: Tensor) -> Tensor:
        """Step 4: features [N, D] -> margins [N, C]; above 0 the classifier says yes."""
        with self.cost.step("classify"):
            return self._fitted().classifier(features)

    def regress(self, boxes: Tensor, features: Tensor) -> Tensor:
        """Step 5: each box [N, 4] as each class would have it, [N, C, 4]."""
        with self.cost.step("regress"):
            deltas = [regressor(features) for regressor in self._fitted().regressors]
            return decode_deltas(boxes[:, None], torch.stack(deltas, dim=1).to(boxes))

    def predict(self, image: Tensor) -> Prediction:
        """All steps, then suppression inside each class.

        Args:
            image: float [3, H, W] in 0…1.

        Returns:
            instances without masks; a score is the margin squeezed into 0…1 by a sigmoid, so
            0.5 is the border of yes and no. It is no probability.

        Raises:
            SeglibError: before `fit`.
        """
        boxes = self.propose(image)
        features = self.features(self.warp(image, boxes))
        margins = self.classify(features)
        corrected = self.regress(boxes, features)
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
        """Describe all regions of all images, then fit the classifiers and the regressors.

        All features are kept in memory, N·D numbers an image; the paper's went to disk.

        Args:
            images: float [3, H, W] in 0…1.
            targets: one for each.
            progress: called with (images done, images in all).

        Raises:
            SeglibError: images and targets that do not match, or no object at all.
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
            examples.append(Examples(features, signs, labels, deltas))
            if progress is not None:
                progress(index + 1, len(images))
        joined = Examples.join(examples)
        if not (joined.signs > 0).any():
            raise SeglibError("fit found no object in the targets: R-CNN needs some of a class")
        self.parts = fit_parts(joined, self.config)
        return self

    def _fitted(self) -> FittedParts:
        if self.parts is None:
            raise SeglibError("this R-CNN knows no class yet: call fit(images, targets) first")
        return self.parts


def proposals_of(model: Segmenter) -> Proposer:
    """The boxes that a model with `proposals` predicts, best first: DeepMask's, for one.

    Raises:
        SeglibError: the model proposes nothing.
    """
    if "proposals" not in model.tasks:
        raise SeglibError(f"{model.name} predicts {', '.join(model.tasks)}, but no proposals")

    def propose(image: Tensor) -> Tensor:
        proposals = model.predict([image])[0].proposals
        assert proposals is not None, "the model's tasks promise proposals"
        return proposals.boxes

    return propose


def _last_map(output: Tensor | Sequence[Tensor]) -> Tensor:
    return output if isinstance(output, Tensor) else output[-1]
