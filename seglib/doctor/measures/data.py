"""Measure a split of a data set: what `seglib data check` finds, and whether its parts agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

import torch
from torch import Tensor

from seglib.data.checking import check_dataset
from seglib.data.datasets import CocoFolder, load_dataset
from seglib.doctor.measures.readings import AS_IS, BOX_READINGS, MASK_READINGS, XYWH
from seglib.doctor.prediction_symptoms import Readings
from seglib.doctor.symptoms import SplitSymptoms
from seglib.errors import SeglibError
from seglib.ops.boxes import box_iou, xyxy_to_xywh
from seglib.ops.masks import mask_area, masks_to_boxes
from seglib.structures import Target

Watch = Callable[[Sequence[int]], Iterable[int]]
OUTLINES = ("transposed", "mirrored left to right", "mirrored upside down")
NEIGHBOURS = ("laid on the image before", "laid on the image after")


def split_symptoms(spec: str | None, split: str, limit: int, watch: Watch = iter) -> SplitSymptoms:
    """Check the first `limit` images of a split.

    Args:
        spec: as for `load_dataset`.
        split: "train" or "val".
        limit: number of images.
        watch: iterates over the image ids, for instance with a progress bar.
    """
    checked = check_dataset(spec, split, lambda ids: watch(ids[:limit]))
    found = SplitSymptoms(
        split=split,
        faults=checked.faults,
        notes=checked.notes,
        images=checked.images,
        objects=checked.objects,
        crowds=checked.crowds,
    )
    try:
        data = load_dataset(spec, split, limit=limit, faults=[])
    except SeglibError:  # already among the faults
        return found
    found.file, found.categories = str(data.annotations_path), data.categories
    _measure(data, found)
    return found


def _measure(data: CocoFolder, found: SplitSymptoms) -> None:
    """Fill the fields that need images and masks."""
    boxes: dict[str, list[float]] = {name: [] for name in BOX_READINGS}
    masks: dict[str, list[float]] = {name: [] for name in MASK_READINGS}
    outlines: dict[str, list[float]] = {name: [] for name in (AS_IS, *OUTLINES, *NEIGHBOURS)}
    sides: list[float] = []
    edges: list[Tensor] = []
    targets: list[Target] = []
    for index in range(len(data)):
        try:
            image, target = data[index]
        except SeglibError:  # counted by the check
            continue
        truth = target.to_find
        found.blank += bool((image == image[:, :1, :1]).all())
        found.objects_by_class.update(data.categories.names[i - 1] for i in truth.labels.tolist())
        truth = truth[~truth.iscrowd & (mask_area(truth.masks) > 0)]
        sides += mask_area(truth.masks).double().sqrt().tolist()
        _compare_boxes(truth, boxes, masks)
        edges.append(_edges(image))
        targets.append(truth)
    _compare_outlines(targets, edges, outlines)
    found.boxes, found.masks = _readings(boxes, XYWH), _readings(masks, AS_IS)
    found.outlines = _readings(outlines, AS_IS)
    found.sides = median(sides) if sides else None


def _compare_boxes(
    truth: Target, boxes: dict[str, list[float]], masks: dict[str, list[float]]
) -> None:
    """Add the IoU of each object's annotated box with its mask's box, under every reading."""
    raw = xyxy_to_xywh(truth.boxes)
    for name, read in BOX_READINGS.items():
        boxes[name] += _paired_iou(read(raw, truth.size), masks_to_boxes(truth.masks).double())
    for name, reread in MASK_READINGS.items():
        rows = [reread(mask, truth.size) for mask in truth.masks]
        if rows:
            masks[name] += _paired_iou(truth.boxes, masks_to_boxes(torch.stack(rows)).double())


def _paired_iou(a: Tensor, b: Tensor) -> list[float]:
    """The IoU of each box of a [N, 4] with the same row of b [N, 4]; 0 if it is undefined."""
    return [float(v) for v in box_iou(a, b).diagonal().nan_to_num(0)]


def _edges(image: Tensor) -> Tensor:
    """Brightness gradient of an image [3, H, W]: float [H, W], differences to all neighbours."""
    grey = image.mean(dim=0)
    across = (grey[:, 1:] - grey[:, :-1]).abs()
    down = (grey[1:] - grey[:-1]).abs()
    result = torch.zeros_like(grey)
    result[:, 1:] += across
    result[:, :-1] += across
    result[1:] += down
    result[:-1] += down
    return result


def _compare_outlines(
    targets: Sequence[Target], edges: Sequence[Tensor], outlines: dict[str, list[float]]
) -> None:
    """Add, for each image, how much stronger edges are on outlines than on average."""
    for index, truth in enumerate(targets):
        if len(truth) == 0:
            continue
        for name in (AS_IS, *OUTLINES):
            rows = torch.stack([MASK_READINGS[name](mask, truth.size) for mask in truth.masks])
            if rows.any():
                outlines[name].append(_contrast(rows, edges[index]))
        for name, other in zip(NEIGHBOURS, (index - 1, (index + 1) % len(targets)), strict=True):
            if len(targets) > 1 and edges[other].shape == truth.masks.shape[1:]:
                outlines[name].append(_contrast(truth.masks, edges[other]))


def _contrast(masks: Tensor, edges: Tensor) -> float:
    """Mean gradient along the outlines of masks bool [N, H, W], divided by the image's mean."""
    inner = masks.clone()
    inner[:, 1:] &= masks[:, :-1]
    inner[:, :-1] &= masks[:, 1:]
    inner[:, :, 1:] &= masks[:, :, :-1]
    inner[:, :, :-1] &= masks[:, :, 1:]
    outline = (masks & ~inner).any(dim=0)  # [H, W]
    return float(edges[outline].mean() / edges.mean().clamp(min=1e-6))


def _readings(values: dict[str, list[float]], as_is: str) -> Readings | None:
    """Means of every reading; None if nothing was measured."""
    if not values[as_is]:
        return None
    means = {name: sum(row) / len(row) for name, row in values.items() if row}
    as_written = means.pop(as_is)
    return Readings(as_written, means, len(values[as_is]))
