"""PolarMask (Xie, Sun, Song, Wang, Liu, Liang, Shen, Luo, CVPR 2020, arXiv 1909.13226).

The idea: a mask is a contour, and a contour is a centre with the distances to it along n rays. So
instance segmentation becomes one-stage detection: each location of a feature map predicts a class
and regresses a few distances, 36 to the contour besides four to the sides of the box.

    image [B, 3, H, W]
      ResNet + FPN -> levels [B, F, H_l, W_l] of strides 8 to 128 (pocket(): 4 to 32)
      head         -> at each of L locations: class logits [B, L, C], centerness [B, L],
                      distances to a box [B, L, 4] and along the rays [B, L, n]         (head.py)
    training:  locations near an object's centre of mass are positive                (targets.py)
    inference: NMS of boxes -> rays of the survivors -> filled contours                 (rays.py)

Without rays, the network is FCOS (Tian et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.models.backbone import make_resnet
from seglib.models.base import OutputForm, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.polarmask.config import PolarMaskConfig
from seglib.models.polarmask.contours import contours_of
from seglib.models.polarmask.head import HeadOutput, PolarHead
from seglib.models.polarmask.losses import polar_losses
from seglib.models.polarmask.rays import HALF_PIXEL, FillRule, contour_points, polar_masks
from seglib.models.polarmask.targets import (
    Locations,
    make_locations,
    mass_centers,
    polar_targets,
    ray_rule,
    rays_from,
)
from seglib.models.targets import check_targets, sized_targets
from seglib.nn.fpn import FPN
from seglib.nn.layers import Conv2d
from seglib.ops.images import resize_longer
from seglib.ops.nms import batched_nms
from seglib.structures import Categories, ImageBatch, Instances, Prediction, Size, Target


@dataclass(eq=False)
class PolarMaskOutput:
    """The network's outputs for a batch.

    Attributes:
        head: class logits, centerness and distances at L locations.
        locations: where the locations are.
        levels: number of locations in each level.
        batch: the images as the network saw them.
    """

    head: HeadOutput
    locations: Locations
    levels: list[int]
    batch: ImageBatch


class Candidates(NamedTuple):
    """The n locations of one image, from all levels, that enter NMS.

    Attributes:
        boxes: [n, 4] in pixels of the original image, half-open.
        points: [n, 2], x and y in pixels of the network's input.
        rays: [n, rays], distances from there in pixels of the network's input.
        probabilities: [n, C] of the classes.
        factors: [n], by which the probabilities are multiplied to get scores.
    """

    boxes: Tensor
    points: Tensor
    rays: Tensor
    probabilities: Tensor
    factors: Tensor


class PolarMask(Segmenter):
    """The whole one-stage network.

    Attributes:
        backbone, fpn, coarser: turn images into a pyramid.
        head: predicts classes, centerness and distances from the pyramid.
    """

    name: ClassVar[str] = "polarmask"
    tasks: tuple[Task, ...] = ("instances",)
    config_class: ClassVar[type[ModelConfig]] = PolarMaskConfig
    config: PolarMaskConfig

    def __init__(self, config: PolarMaskConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        self.backbone = make_resnet(config, stride_in_1x1=config.stride_in_1x1)
        width = config.fpn_width
        self.fpn = FPN(self.backbone.channels[1:], width, pooled_level=False)
        self.coarser = nn.ModuleList(
            Conv2d(width, width, kernel_size=3, stride=2, padding=1)
            for _ in range(config.coarser_levels)
        )
        self.head = PolarHead(config, len(categories))
        deepest = self.backbone.strides[-1]
        self.strides = [
            *self.backbone.strides[1:],
            *(deepest * 2**level for level in range(1, config.coarser_levels + 1)),
        ]

    def forward(self, images: Sequence[Tensor]) -> PolarMaskOutput:
        """Raw outputs for images of any size, float [3, H, W] in 0…1."""
        batch = self.prepare(images, divisor=max(self.backbone.strides))  # tensor [B, 3, H, W]
        pyramid = self.features(batch.tensor)  # [B, F, H_l, W_l] each
        sizes = [(level.shape[-2], level.shape[-1]) for level in pyramid]
        locations = make_locations(sizes, self.strides, self.config.ranges)
        output = self.head(pyramid)  # [B, L, …], L locations of all levels
        return PolarMaskOutput(output, locations, [h * w for h, w in sizes], batch)

    def features(self, pixels: Tensor) -> list[Tensor]:
        """[B, 3, H, W] -> the pyramid [B, F, H_l, W_l], finest first."""
        pyramid = list(self.fpn(self.backbone(pixels)[1:]))
        for index, conv in enumerate(self.coarser):
            last = pyramid[-1].relu() if index else pyramid[-1]
            pyramid.append(conv(last))  # [B, F, ceil(H/2), ceil(W/2)]
        return pyramid

    def resize(self, image: Tensor) -> Tensor:
        """Resize to the config's `fixed_size`, as published, or by its `image_size`."""
        if self.config.fixed_size is None:
            return resize_longer(image, self.config.image_size)
        return F.interpolate(image[None], size=self.config.fixed_size, mode="bilinear")[0]

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The losses of all parts, to be summed with equal weights as published.

        Returns:
            "class_loss", "centerness_loss", "mask_loss", and "box_loss" if the config has it.

        Raises:
            SeglibError: a target whose masks do not have its image's size, or a label that the
                model does not know.
        """
        output, config = self(images), self.config
        truth = sized_targets(images, targets, output.batch, len(self.categories), "cpu")
        learned = polar_targets(output.locations, truth, config).to(output.head.logits.device)
        return polar_losses(
            output.head, learned, published=config.published, box_loss=config.box_loss
        )

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """Detected objects with masks, best first, at each image's own size."""
        output = self(images)
        predictions = []
        for index, image in enumerate(images):
            size = (image.shape[-2], image.shape[-1])
            candidates = self.candidates(output, index, size)
            rows, labels, scores = self.select(candidates)  # [d] each
            masks = self._masks(
                candidates.points[rows], candidates.rays[rows], size, output.batch.sizes[index]
            )
            highest = 1.5 if self.config.published else 1.0  # dividing by it keeps scores in 0…1
            found = Instances(candidates.boxes[rows], scores / highest, labels, masks)
            predictions.append(Prediction(size, self.categories, found))
        return predictions

    def candidates(self, output: PolarMaskOutput, index: int, size: Size) -> Candidates:
        """The best locations of each level of one image.

        Args:
            output: the network's outputs.
            index: the image's index in the batch.
            size: (H, W) of the original image.
        """
        head = output.head
        probabilities = head.logits[index].sigmoid()  # [L, C]
        centerness = head.centerness[index].sigmoid()  # [L]
        rank = probabilities.amax(1) * centerness  # [L]
        kept, start = [], 0
        for cells in output.levels:
            best = rank[start : start + cells].topk(min(cells, self.config.before_nms)).indices
            # A level with few cells keeps all of them, in their order.
            best = best if cells > self.config.before_nms else torch.arange(cells).to(best)
            kept.append(best + start)
            start += cells
        at = torch.cat(kept)  # [n]
        points = output.locations.points.to(rank)[at]  # [n, 2]
        boxes = self._boxes(points, head.sides[index, at], output.batch.sizes[index], size)
        factors = centerness[at] + 0.5 if self.config.published else centerness[at]
        return Candidates(boxes, points, head.rays[index, at], probabilities[at], factors)

    def select(self, candidates: Candidates) -> tuple[Tensor, Tensor, Tensor]:
        """Suppress candidates.

        The threshold applies to the class probability alone; the order is that of the scores.

        Returns:
            int64 [d] rows of the survivors, best first, int64 [d] labels 1…C, and [d] scores.
        """
        config = self.config
        passing = candidates.probabilities > config.score_threshold  # [n, C]
        rows, classes = passing.nonzero().unbind(1)  # [m] each
        scores = candidates.probabilities[rows, classes] * candidates.factors[rows]  # [m]
        kept = batched_nms(candidates.boxes[rows], scores, classes, config.nms_iou)
        kept = kept[: config.max_detections]  # [d]
        return rows[kept], classes[kept] + 1, scores[kept]

    def contours(self, points: Tensor, rays: Tensor, seen: Size, size: Size) -> Tensor:
        """Contour points [d, n, 2] in pixels of the original image.

        Published contours are clipped to the last pixel's centre.
        """
        ends = contour_points(points, rays)  # [d, n, 2]
        if self.config.published:
            ends = torch.minimum(ends.clamp(min=0), ends.new_tensor([seen[1] - 1, seen[0] - 1]))
        return ends * _factor(seen, size, ends)

    def _boxes(self, points: Tensor, sides: Tensor, seen: Size, size: Size) -> Tensor:
        """[n, 4] half-open boxes in pixels of the original image, clipped to it."""
        corners = torch.cat([points - sides[:, :2], points + sides[:, 2:]], dim=1)  # [n, 4]
        limit = corners.new_tensor([seen[1], seen[0], seen[1], seen[0]])
        factor = _factor(seen, size, corners).repeat(2)  # [4]
        if self.config.published:
            corners = torch.minimum(corners.clamp(min=0), limit - 1)
            return corners * factor + corners.new_tensor([0, 0, 1, 1])
        return torch.minimum((corners + HALF_PIXEL).clamp(min=0), limit) * factor

    def _masks(self, points: Tensor, rays: Tensor, size: Size, seen: Size) -> Tensor:
        """Masks bool [d, H, W] at the original image's size."""
        scale = (size[0] / seen[0], size[1] / seen[1])
        rule: FillRule = "published" if self.config.published else "outer_edge"
        return polar_masks(points, rays, size, scale, rule)

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The true boxes, and contours with exact distances from the true centres of mass."""
        check_targets([image], [target], len(self.categories))
        objects = target[self.learnable_objects(target)]
        (seen,) = sized_targets(
            [image], [objects], self.prepare([image]), len(self.categories), "cpu"
        )
        drawn, contours = contours_of(seen.masks)
        objects = objects[drawn]
        centers = mass_centers(contours, self.config.published)  # [G, 2]
        rays = rays_from(contours, centers, self.config.rays, ray_rule(self.config))  # [G, n]
        masks = self._masks(centers, rays, target.size, seen.size)
        scores = torch.ones(len(objects))
        found = Instances(objects.boxes.float(), scores, objects.labels, masks)
        return Prediction(target.size, self.categories, found)

    def learnable_objects(self, target: Target) -> Tensor:
        """Also leave out objects without pixels, which have no contour."""
        return super().learnable_objects(target) & target.masks.flatten(1).any(1)

    @property
    def output_form(self) -> OutputForm:
        """One contour of n rays for each object."""
        rays = self.config.rays
        return OutputForm(
            f"a perfect detector with contours of {rays} rays from the mass centre", {"rays": rays}
        )

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The head's class layer, which has no background."""
        return {f"head.to_classes.{part}": (0,) for part in ("weight", "bias")}


def _factor(seen: Size, size: Size, like: Tensor) -> Tensor:
    """[2] pixels of the original image per pixel of the network's input, along x and y."""
    return like.new_tensor([size[1] / seen[1], size[0] / seen[0]])
