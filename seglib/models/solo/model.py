"""SOLO (Wang, Kong, Shen, Jiang, Li, ECCV 2020, arXiv 1912.04488) and SOLOv2 (Wang, Zhang, Kong,
Li, Shen, NeurIPS 2020, arXiv 2003.10152).

The idea: two objects in an image differ in location or in size. So location becomes a class: an
S x S grid is laid over the image, and the cell that contains an object's centre predicts the
object's class and mask. There are no boxes, no proposals, no crops, no grouping of pixels.

    image [B, 3, H, W]
      ResNet + FPN     -> pyramid P2…P6 [B, F, H_l, W_l]
      rescaled         -> levels [B, F, h_l, w_l], a grid S_l for each         (levels.py)
      category branch  -> class logits [B, C, S_l, S_l]                        (category_branch.py)
      mask branch      -> a mask for each cell                                 (mask_branches.py)
        solo           -> S_l² channels [B, S_l², 2h_l, 2w_l]
        decoupled      -> S_l channels for rows and S_l for columns, multiplied
        v2             -> a kernel per cell [B, E, S_l, S_l] for features [B, E, H/4, W/4]
      points NMS, Matrix NMS -> detections                                     (postprocess.py)

YOLACT assembles masks from prototypes and crops them to boxes. SOLO needs neither, because its
convolutions have coordinates as input (CoordConv). SOLOv2's kernels correspond to YOLACT's
coefficients, but their features contain coordinates, so that nothing has to be cropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib import ops
from seglib.models.backbone import make_resnet
from seglib.models.base import OutputForm, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.solo.category_branch import CategoryBranch
from seglib.models.solo.config import SOLOConfig
from seglib.models.solo.levels import level_strides, rescaled_levels
from seglib.models.solo.losses import class_loss, mask_loss
from seglib.models.solo.mask_branches import mask_branch
from seglib.models.solo.mask_maps import Cells, MaskMaps
from seglib.models.solo.postprocess import Candidates, candidates, full_size, suppressed
from seglib.models.solo.targets import (
    Assignment,
    BatchObjects,
    assign_cells,
    batch_objects,
    owners_of_cells,
)
from seglib.models.targets import sized_targets
from seglib.nn.fpn import FPN
from seglib.ops.images import resize_longer, resize_shorter
from seglib.ops.masks import masks_to_boxes
from seglib.ops.upsampling import interpolate
from seglib.structures import Categories, ImageBatch, Instances, Prediction, Size, Target


@dataclass(eq=False)
class SOLOOutput:
    """The raw outputs of both branches for a batch.

    Attributes:
        pyramid: feature maps [B, F, H_l, W_l], P2…P6.
        class_logits: [B, C, S_l, S_l] per level.
        masks: the mask of each cell, in the variant's form.
        batch: the images as the network saw them.
    """

    pyramid: tuple[Tensor, ...]
    class_logits: list[Tensor]
    masks: MaskMaps
    batch: ImageBatch


class SOLO(Segmenter):
    """The whole network.

    Attributes:
        backbone, fpn: turn images into a pyramid.
        category: predicts class logits from the levels.
        mask_branch: predicts masks from the levels, in the form of `config.variant`.
    """

    name: ClassVar[str] = "solo"
    tasks: tuple[Task, ...] = ("instances",)
    config_class: ClassVar[type[ModelConfig]] = SOLOConfig
    config: SOLOConfig

    def __init__(self, config: SOLOConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        self.backbone = make_resnet(config)
        self.fpn = FPN(self.backbone.channels, config.fpn_width)
        self.category = CategoryBranch(config, len(categories))
        self.mask_branch = mask_branch(config)

    def forward(self, images: Sequence[Tensor]) -> SOLOOutput:
        """Raw outputs for images of any size, float [3, H, W] in 0…1."""
        batch = self.prepare(images, divisor=max(self.backbone.strides))  # tensor [B, 3, H, W]
        pyramid = self.fpn(self.backbone(batch.tensor))  # P2…P6, [B, F, H_l, W_l] each
        padded = self.config.rules.padded
        levels = rescaled_levels(pyramid, self.backbone.strides, batch, padded)  # [B, F, h_l, w_l]
        class_logits = self.category(levels)  # [B, C, S_l, S_l] each
        masks = self.mask_branch(pyramid, levels)
        return SOLOOutput(pyramid, class_logits, masks, batch)

    def resize(self, image: Tensor) -> Tensor:
        """Resize by the shorter side if the config has `min_size`, as published (section 4)."""
        if self.config.min_size is None:
            return resize_longer(image, self.config.image_size)
        return resize_shorter(image, self.config.min_size, self.config.max_size)

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Focal loss of the classes, and dice loss of the masks with weight 3 (equation 3).

        Returns:
            "class_loss" and "mask_loss".

        Raises:
            SeglibError: a target whose masks do not have its image's size, or a label that the
                model does not know.
        """
        output = self(images)
        objects, assignment = self.assign(images, targets, output.batch)
        binary = self.config.rules.binary_targets
        dice = mask_loss(output.masks, assignment, objects.masks, binary)
        return {
            "class_loss": class_loss(output.class_logits, assignment.labels),
            "mask_loss": self.config.mask_loss_weight * dice,
        }

    def assign(
        self, images: Sequence[Tensor], targets: Sequence[Target], batch: ImageBatch
    ) -> tuple[BatchObjects, Assignment]:
        """The objects of a batch, and the cells that they are assigned to."""
        truth = sized_targets(images, targets, batch, len(self.categories))
        objects = batch_objects(truth, batch.sizes, batch.canvas, self.config.rules.padded)
        return objects, assign_cells(objects, len(images), self.config)

    def learnable_objects(self, target: Target) -> Tensor:
        """Also leave out objects without pixels, which have no centre of mass."""
        return super().learnable_objects(target) & target.masks.flatten(1).any(1)

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """Detected objects with masks, best first, at each image's own size."""
        output = self(images)
        scores = self.scores(output.class_logits)  # [B, N, C]
        predictions = []
        for index, image in enumerate(images):
            found = suppressed(self.candidates(output, scores, index), self.config.selection)
            size = (image.shape[-2], image.shape[-1])
            predictions.append(self._prediction(found, output.batch, index, size))
        return predictions

    def scores(self, class_logits: Sequence[Tensor]) -> Tensor:
        """Class probabilities of all cells after points NMS, level by level: [B, N, C]."""
        maps = [ops.points_nms(logits.sigmoid()) for logits in class_logits]  # [B, C, S, S]
        return torch.cat([scores.flatten(2) for scores in maps], 2).transpose(1, 2)  # [B, N, C]

    def candidates(self, output: SOLOOutput, scores: Tensor, index: int) -> Candidates:
        """The input of Matrix NMS for one image of the batch; all masks have the finest stride."""
        height, width = (side // self.mask_strides[0] for side in output.batch.canvas)
        grids = self.config.grids
        per_level = scores.new_tensor(level_strides(self.backbone.strides))  # [L]
        counts = scores.new_tensor([s * s for s in grids]).long()  # [L] cells
        strides = per_level.repeat_interleave(counts)  # [N]
        return candidates(
            scores[index],
            lambda numbers: output.masks.probabilities(
                Cells.from_numbers(numbers, grids, index), (height, width)
            ),
            strides,
            self.config.selection,
        )

    def _prediction(
        self, found: Candidates, batch: ImageBatch, index: int, size: Size
    ) -> Prediction:
        """Turn detections with masks [K, h, w] over the canvas into a prediction at `size`."""
        rules = self.config.selection
        masks = full_size(
            found.masks, batch.canvas, batch.sizes[index], size, rules.mask_threshold
        )  # [K, H, W]
        instances = Instances(masks_to_boxes(masks), found.scores, found.classes + 1, masks)
        if not rules.keep_empty:  # a mask may lie in the padding, or vanish in resizing
            instances = instances[masks.flatten(1).any(1)]
        return Prediction(size, self.categories, instances)

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The true masks at the resolution of the maps, for every object that owns a cell."""
        batch = self.prepare([image], divisor=max(self.backbone.strides))
        objects, assignment = self.assign([image], [target], batch)
        owners, levels = owners_of_cells(assignment, self.config)  # [K] each
        height, width = batch.canvas
        masks = objects.masks.new_zeros(len(owners), height, width, dtype=batch.tensor.dtype)
        for level, stride in enumerate(self.mask_strides):
            on_level = levels == level
            full_masks = objects.masks[owners[on_level]].to(masks)[:, None]  # [n, 1, H, W]
            coarse = F.avg_pool2d(full_masks, stride)  # [n, 1, h_l, w_l]
            masks[on_level] = interpolate(coarse, (height, width))[:, 0]  # [n, H, W]
        found = Candidates(masks.new_ones(len(masks)), objects.labels[owners] - 1, masks)
        return self._prediction(found, batch, 0, target.size)

    @property
    def mask_strides(self) -> tuple[int, ...]:
        """The stride of each level's masks in px: half the level's own, or in v2 that of P2."""
        finest, *_ = strides = self.backbone.strides
        if self.config.variant == "v2":
            return (finest,) * len(self.config.grids)
        return tuple(stride // 2 for stride in level_strides(strides))

    @property
    def output_form(self) -> OutputForm:
        """One mask per cell, on a coarse grid of pixels."""
        strides = self.mask_strides
        words = f"{strides[0]}" if strides[0] == strides[-1] else f"{strides[0]} to {strides[-1]}"
        return OutputForm(
            f"a perfect network with masks of stride {words}, one per grid cell",
            {"stride": strides[0], "coarsest_stride": strides[-1]},
        )

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The last layer of the category branch; it has no background."""
        return {f"category.logits.{part}": (0,) for part in ("weight", "bias")}
