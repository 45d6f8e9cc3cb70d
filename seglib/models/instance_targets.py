"""True objects where a network sees them: without crowds, at the size of the padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from seglib.errors import SeglibError
from seglib.structures import ImageBatch, Target

Size = tuple[int, int]


@dataclass(eq=False)
class SizedTarget:
    """The objects of one image, on the canvas of a batch.

    Attributes:
        boxes: float [G, 4] in pixels of the batch.
        labels: int64 [G], 1…C.
        masks: bool [G, H, W] of the image's size inside the batch.
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor


def scale_boxes(boxes: Tensor, old: Size, new: Size) -> Tensor:
    """[N, 4] boxes of an image of size `old` (H, W) on the same image at size `new`."""
    down, across = new[0] / old[0], new[1] / old[1]
    return boxes * boxes.new_tensor([across, down, across, down])


def check_targets(images: Sequence[Tensor], targets: Sequence[Target]) -> None:
    """Refuse targets that cannot belong to the images.

    Raises:
        SeglibError: another number of targets than images, or masks of another size than their
            image.
    """
    if len(images) != len(targets):
        raise SeglibError(f"{len(images)} images have {len(targets)} targets: give each one")
    for image, target in zip(images, targets, strict=True):
        if target.masks.shape[-2:] != image.shape[-2:]:
            raise SeglibError(
                f"target of image {target.image_id} has masks of size "
                f"{list(target.masks.shape[-2:])} for an image of {list(image.shape[-2:])}: "
                "resize both together"
            )


def sized_targets(
    images: Sequence[Tensor], targets: Sequence[Target], batch: ImageBatch, classes: int
) -> list[SizedTarget]:
    """Targets for the images inside a batch.

    Crowds are left out, they are no single object; so are boxes without area.

    Args:
        images: as given to the model, before resizing.
        targets: theirs.
        batch: the same images resized and padded.
        classes: C, the highest label allowed.

    Raises:
        SeglibError: another number of targets than images, masks of another size than their
            image, or a label outside 1…C.
    """
    check_targets(images, targets)
    return [
        _sized(image, target, size, batch.tensor, classes)
        for image, target, size in zip(images, targets, batch.sizes, strict=True)
    ]


def _sized(image: Tensor, target: Target, size: Size, like: Tensor, classes: int) -> SizedTarget:
    old: Size = (image.shape[-2], image.shape[-1])
    if len(target) and not 1 <= int(target.labels.min()) <= int(target.labels.max()) <= classes:
        raise SeglibError(
            f"target of image {target.image_id} has labels "
            f"{sorted(set(target.labels.tolist()))}, the model knows 1…{classes}: build it with "
            "the dataset's categories"
        )
    sides = target.boxes[:, 2:] - target.boxes[:, :2]
    single = target[~target.iscrowd & (sides > 0).all(1)]
    boxes, masks = single.boxes.to(like), single.masks.to(like.device)
    if size != old:
        boxes = scale_boxes(boxes, old, size)
        masks = F.interpolate(masks[:, None].float(), size=size, mode="nearest")[:, 0] > 0
    return SizedTarget(boxes, single.labels.to(like.device), masks)
