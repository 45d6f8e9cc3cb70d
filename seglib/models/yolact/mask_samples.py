"""Sample the positive anchors that have a mask loss, and assemble their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from seglib.models.targets import SizedTarget
from seglib.models.yolact.config import YOLACTConfig
from seglib.models.yolact.losses import mask_loss
from seglib.models.yolact.masks import assemble_masks, boxes_in_cells
from seglib.models.yolact.targets import masks_in_cells
from seglib.structures import Size


@dataclass(eq=False)
class MaskSample:
    """The sampled positives of one image.

    Attributes:
        logits: [n, h, w] their assembled masks.
        targets: [n, h, w] in 0…1.
        boxes: [n, 4] their true boxes, in cells.
        labels: int64 [n], 1…C.
        weight: factor of their losses; above 1 if not all positives were sampled.
    """

    logits: Tensor
    targets: Tensor
    boxes: Tensor
    labels: Tensor
    weight: float


def sample_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    index: Tensor,
    objects: SizedTarget,
    canvas: Size,
    *,
    limit: int = 100,
    binary: bool = True,
    generator: Generator | None = None,
) -> MaskSample:
    """Sample positives of one image, at most `limit`, and assemble their masks.

    Args:
        prototypes: [k, h, w].
        coefficients: [P, k] of the positives.
        index: int64 [P], the row of each positive's object.
        objects: the image's objects.
        canvas: (H, W) of the padded batch in pixels.
        limit: largest number of masks; their losses are scaled up to make up for the others.
        binary: see `masks_in_cells`.
        generator: random numbers, on the CPU.
    """
    positives = len(index)
    if positives > limit:
        chosen = torch.randperm(positives, generator=generator)[:limit].to(index.device)
        coefficients, index = coefficients[chosen], index[chosen]  # [n, k], [n]
    cells = (prototypes.shape[-2], prototypes.shape[-1])
    targets = masks_in_cells(objects.masks, canvas, cells, binary)  # [G, h, w]
    return MaskSample(
        logits=assemble_masks(coefficients, prototypes),  # [n, h, w]
        targets=targets.to(prototypes.dtype)[index],  # [n, h, w]
        boxes=boxes_in_cells(objects.boxes, canvas, cells)[index],  # [n, 4]
        labels=objects.labels[index],
        weight=positives / len(index) if positives else 1.0,
    )


def sample_batch(
    prototypes: Tensor,
    coefficients: Tensor,
    index: Tensor,
    counts: Sequence[int],
    objects: Sequence[SizedTarget],
    canvas: Size,
    config: YOLACTConfig,
    generators: Sequence[Generator],
) -> list[MaskSample]:
    """`sample_masks` for every image of a batch.

    Args:
        prototypes: [B, k, h, w].
        coefficients: [P, k] of all positives, image after image.
        index: int64 [P], the row of each positive's object in its image.
        counts: number of positives in each image.
        objects: the objects of each image.
        canvas: (H, W) of the padded batch in pixels.
        config: contains the limit and the form of the targets.
        generators: one per image, on the CPU.
    """
    # The gradient of a split is one concatenation; that of indexing would allocate a tensor of
    # zeros as large as the batch for every image.
    split = coefficients.split(list(counts)), index.split(list(counts))  # [p, k], [p] each
    images = zip(prototypes.unbind(), *split, objects, generators, strict=True)
    return [
        sample_masks(
            maps,
            rows,
            object_rows,
            truth,
            canvas,
            limit=config.masks_per_image,
            binary=config.binary_targets,
            generator=generator,
        )
        for maps, rows, object_rows, truth, generator in images
    ]


def total_mask_loss(samples: Sequence[MaskSample]) -> Tensor:
    """`mask_loss` of all positives of a batch, a scalar."""
    losses = [s.weight * mask_loss(s.logits, s.targets, s.boxes) for s in samples]
    return torch.stack(losses).sum()
