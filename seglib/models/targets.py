"""Targets as losses need them: checked, without crowds, at the size of the padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import scale_boxes
from seglib.structures import IGNORE, ImageBatch, Size, Target, all_finite

# Fields of a target that detectors learn from, and their types.
_FIELDS = {"boxes": "float", "labels": "int64", "masks": "bool", "iscrowd": "bool", "area": "float"}


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

    @property
    def size(self) -> Size:
        """(H, W) of the image inside the batch."""
        return self.masks.shape[1], self.masks.shape[2]


def check_targets(
    images: Sequence[Tensor], targets: Sequence[Target], classes: int | None = None
) -> None:
    """Refuse targets that violate the contract of `Target` or cannot belong to the images.

    Args:
        images: [3, H, W] each.
        targets: one for each image.
        classes: C, the highest label allowed; None allows all labels from 1, for models that do
            not tell classes apart.

    Raises:
        SeglibError: the numbers of images and targets differ; a field has the wrong type or shape,
            or contains NaN or infinity; masks do not have the size of their image; a box is
            inverted or far outside the image; an area is negative; a label is outside 1…C.
    """
    _check_counts(images, targets)
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        where = f"target {index} of image {target.image_id} has"
        _check_fields(target, where)
        if target.masks.shape[-2:] != image.shape[-2:]:
            raise SeglibError(
                f"{where} masks of size {list(target.masks.shape[-2:])} for an image of "
                f"{list(image.shape[-2:])}: resize both together"
            )
        _check_boxes(target.boxes, (image.shape[-2], image.shape[-1]), where)
        _check_labels(target.labels, classes, where)


def _check_fields(target: Target, where: str) -> None:
    """Check the types, shapes and finiteness of the fields that losses use."""
    fields = {name: getattr(target, name) for name in _FIELDS}
    for name, field in fields.items():
        if not isinstance(field, Tensor):
            raise SeglibError(f"{where} {name} of type {type(field).__name__}: give a tensor")
    count = len(target)
    shapes = {
        "boxes": [count, 4],
        "labels": [count],
        "masks": [count, *target.masks.shape[-2:]],
        "iscrowd": [count],
        "area": [count],
    }
    for name, kind in _FIELDS.items():
        field, shape = fields[name], shapes[name]
        found = str(field.dtype).removeprefix("torch.")
        if not found.startswith(kind) or list(field.shape) != shape:
            raise SeglibError(
                f"{where} {name} {found} {list(field.shape)}: for its {count} labels they must "
                f"be {kind} {shape}"
            )
        if kind == "float" and not all_finite(field):
            raise SeglibError(f"{where} NaN or infinite {name}: leave such objects out")
    if (target.area < 0).any():
        raise SeglibError(f"{where} area {target.area.min():g}: count the pixels of the mask")


def _check_boxes(boxes: Tensor, size: Size, where: str) -> None:
    """Boxes may reach beyond the image of (H, W), as some files' do, but not by more than its size.

    Larger numbers, from other units or damaged files, would overflow in the losses.
    """
    limit = boxes.new_tensor([size[1], size[0]] * 2)  # [4]
    for wrong, why in (
        (boxes[:, :2] > boxes[:, 2:], "the corners must be in the order x0, y0, x1, y1"),
        ((boxes < -limit) | (boxes > 2 * limit), f"the image has {size[1]} x {size[0]} px"),
    ):
        rows = wrong.any(dim=1).nonzero()
        if len(rows):
            row = int(rows[0])
            raise SeglibError(f"{where} boxes[{row}] = {boxes[row].tolist()}: {why}")


def _check_labels(labels: Tensor, classes: int | None, where: str) -> None:
    wrong = labels < 1
    if classes is not None:
        wrong |= labels > classes
    if wrong.any():
        known = "1 and more" if classes is None else f"1…{classes}"
        raise SeglibError(
            f"{where} labels {sorted(set(labels[wrong].tolist()))}, first for object "
            f"{int(wrong.nonzero()[0])}; the model knows {known}: build it with the dataset's "
            "categories"
        )


def sized_targets(
    images: Sequence[Tensor],
    targets: Sequence[Target],
    batch: ImageBatch,
    classes: int,
    device: torch.device | str | None = None,
) -> list[SizedTarget]:
    """Targets for the images inside a batch.

    Crowds, which are not single objects, and boxes without area are left out.

    Args:
        images: as given to the model, before resizing.
        targets: one for each image.
        batch: the same images resized and padded.
        classes: C, the highest label allowed.
        device: where the result is put; None means the batch's device.

    Raises:
        SeglibError: targets that `check_targets` refuses.
    """
    check_targets(images, targets, classes)
    like = batch.tensor[:0].to(batch.tensor.device if device is None else device)
    return [
        _sized(image, target, size, like)
        for image, target, size in zip(images, targets, batch.sizes, strict=True)
    ]


def _sized(image: Tensor, target: Target, size: Size, like: Tensor) -> SizedTarget:
    old: Size = (image.shape[-2], image.shape[-1])
    sides = target.boxes[:, 2:] - target.boxes[:, :2]  # [N, 2]
    single = target[~target.iscrowd & (sides > 0).all(1)]
    boxes, masks = single.boxes.to(like), single.masks.to(like.device)  # [G, 4], [G, H, W]
    if size != old:
        boxes = scale_boxes(boxes, old, size)
        masks = F.interpolate(masks[:, None].float(), size=size, mode="nearest")[:, 0] > 0
    return SizedTarget(boxes, single.labels.to(like.device), masks)


def semantic_labels(
    images: Sequence[Tensor],
    targets: Sequence[Target],
    sizes: Sequence[tuple[int, int]],
    canvas: tuple[int, int],
    classes: int,
) -> Tensor:
    """The targets' semantic maps on the canvas of a padded batch.

    Args:
        images: as given to the model, before resizing.
        targets: with `semantic` of each image's size.
        sizes: (height, width) of each image on the canvas; labels are resized to it by nearest
            neighbour.
        canvas: (H, W) of the batch.
        classes: C, the highest label allowed.

    Returns:
        int64 [B, H, W], 255 in the padding.

    Raises:
        SeglibError: the numbers of images and targets differ, or the semantic labels of a target
            are missing, are not int64, do not have the size of its image, or are outside 0…C.
    """
    maps = _checked_maps(images, targets, classes)
    batch = maps[0].new_full((len(maps), *canvas), IGNORE, dtype=torch.int64)  # [B, H, W]
    for row, labels, (height, width) in zip(batch, maps, sizes, strict=True):
        if labels.shape != (height, width):
            labels = F.interpolate(
                labels[None, None].float(), size=(height, width), mode="nearest-exact"
            )[0, 0].long()  # [h, w]
        row[:height, :width] = labels
    return batch


def _checked_maps(
    images: Sequence[Tensor], targets: Sequence[Target], classes: int
) -> list[Tensor]:
    """The targets' semantic maps, int64 [h, w] each; see `semantic_labels` for what is refused."""
    _check_counts(images, targets)
    maps = []
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        labels = target.semantic
        if labels is None:
            raise SeglibError(f"target {index} has no semantic labels to learn from")
        if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
            kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
            raise SeglibError(f"target {index} has semantic labels of type {kind}: give int64")
        if labels.shape != image.shape[-2:]:
            raise SeglibError(
                f"target {index} has semantic labels of size {list(labels.shape)} for an image "
                f"of {list(image.shape[-2:])}: resize both together"
            )
        unknown = labels[((labels > classes) | (labels < 0)) & (labels != IGNORE)]
        if len(unknown):
            raise SeglibError(
                f"target {index} has semantic label {int(unknown[0])}, the model knows "
                f"0…{classes}: build it with the dataset's categories"
            )
        maps.append(labels)
    return maps


def _check_counts(images: Sequence[Tensor], targets: Sequence[Target]) -> None:
    """Refuse anything but a list with one `Target` per image."""
    if isinstance(targets, Target) or not isinstance(targets, Sequence):
        raise SeglibError(f"targets must be a list of Target, got {type(targets).__name__}")
    if len(images) != len(targets):
        raise SeglibError(f"{len(images)} images have {len(targets)} targets: give one per image")
    for index, target in enumerate(targets):
        if not isinstance(target, Target):
            raise SeglibError(f"target {index} must be a Target, got {type(target).__name__}")
