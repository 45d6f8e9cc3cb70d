"""The positives that learn masks, and what is assembled for them."""

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

Size = tuple[int, int]


@dataclass(eq=False)
class MaskSample:
    """Positives of one image.

    Attributes:
        logits: [n, h, w] their assembled masks.
        targets: [n, h, w] in 0…1.
        boxes: [n, 4] the true boxes, in cells.
        labels: int64 [n], 1…C.
        weight: of their losses, above 1 if there were more positives than may be sampled.
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
        index: int64 [P], the object of each.
        objects: of the image.
        canvas: (H, W) of the padded batch in pixels.
        limit: the largest number of masks; the losses are scaled up for the others.
        binary: see `masks_in_cells`.
        generator: on the CPU.
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
        index: int64 [P], the object of each in its image.
        counts: positives of every image.
        objects: of every image.
        canvas: (H, W) of the padded batch in pixels.
        config: with the limit and the form of targets.
        generators: one per image, on the CPU.
    """
    # Splitting a tensor costs its gradient one concatenation; indexing it would cost a tensor of
    # zeros of the batch's size for every image.
    split = coefficients.split(list(counts)), index.split(list(counts))  # [p, k], [p] each
    images = zip(prototypes.unbind(), *split, objects, generators, strict=True)
    return [
        sample_masks(
            maps,
            rows,
            own,
            truth,
            canvas,
            limit=config.masks_per_image,
            binary=config.binary_targets,
            generator=generator,
        )
        for maps, rows, own, truth, generator in images
    ]


def total_mask_loss(samples: Sequence[MaskSample]) -> Tensor:
    """`mask_loss` of all positives of a batch, a scalar."""
    each = [s.weight * mask_loss(s.logits, s.targets, s.boxes) for s in samples]
    return torch.stack(each).sum()
