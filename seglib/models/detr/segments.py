"""The segments of a batch: one for each thing, and one for each stuff class in an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seglib.models.detr.objects import ObjectBatch, stack_objects
from seglib.models.targets import SizedTarget, semantic_labels, sized_targets
from seglib.ops.masks import masks_to_boxes
from seglib.structures import Categories, ImageBatch, Target


def segment_batch(
    images: Sequence[Tensor], targets: Sequence[Target], batch: ImageBatch, categories: Categories
) -> ObjectBatch:
    """The targets' single objects, and the stuff in their label maps.

    Args:
        images: as given to the model, before resizing.
        targets: one for each image, with label maps.
        batch: the same images resized and padded; the result is on its device.
        categories: tell things from stuff.

    Raises:
        SeglibError: `sized_targets` or `semantic_labels` refuses the targets.
    """
    # Gathered where the targets are; only whole tensors move to the model's device.
    device = targets[0].boxes.device if targets else batch.tensor.device
    like = ImageBatch(torch.empty(0, dtype=batch.tensor.dtype, device=device), batch.sizes)
    things = sized_targets(images, targets, like, len(categories))
    maps = semantic_labels(images, targets, batch.sizes, batch.canvas, len(categories))
    segments = [
        with_stuff(thing, labels[: size[0], : size[1]].to(device), categories)
        for thing, labels, size in zip(things, maps, batch.sizes, strict=True)
    ]
    return stack_objects(segments, batch)


def with_stuff(things: SizedTarget, semantic: Tensor, categories: Categories) -> SizedTarget:
    """The things of an image, followed by one segment for each stuff class in its label map.

    Args:
        things: G things, with masks bool [G, H, W].
        semantic: the label map, int64 [H, W].
        categories: tell things from stuff.

    Returns:
        G things and S segments of stuff; the boxes of stuff enclose its pixels.
    """
    stuff = semantic.new_tensor([category.label for category in categories.stuff])
    present = stuff[torch.isin(stuff, semantic)]  # [S]
    masks = semantic == present[:, None, None]  # [S, H, W]
    return SizedTarget(
        torch.cat([things.boxes, masks_to_boxes(masks).to(things.boxes)]),
        torch.cat([things.labels, present]),
        torch.cat([things.masks, masks]),
    )
