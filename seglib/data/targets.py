"""Build a `Target` from annotation records: objects, semantic map and panoptic map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from seglib.data.annotations import annotation_box, annotation_masks
from seglib.data.coco_json import Annotation, ImageRecord
from seglib.errors import SeglibError
from seglib.ops.boxes import clip_boxes
from seglib.ops.masks import mask_area
from seglib.structures import BACKGROUND, IGNORE, Panoptic, Target


def build_target(
    annotations: Sequence[Annotation], record: ImageRecord, labels: Mapping[int, int]
) -> Target:
    """The objects of one image, without semantic and panoptic maps.

    Objects of categories without a label are left out. `truth` contains all others as they are in
    the file. The target itself contains what a model can learn from: boxes are clipped to the
    image, and objects without a pixel or with a box outside the image are left out.

    Args:
        annotations: the image's records.
        record: id and size of the image.
        labels: label 1…C by COCO category id.
    """
    kept = [a for a in annotations if a["category_id"] in labels]
    masks = annotation_masks(kept, record.size)
    pixels = mask_area(masks)
    boxes = [annotation_box(a, mask) for a, mask in zip(kept, masks, strict=True)]
    areas = [float(a.get("area", n)) for a, n in zip(kept, pixels.tolist(), strict=True)]
    truth = Target(
        boxes=torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4),
        labels=torch.tensor([labels[a["category_id"]] for a in kept], dtype=torch.int64),
        masks=masks,
        iscrowd=torch.tensor([bool(a.get("iscrowd", 0)) for a in kept], dtype=torch.bool),
        area=torch.tensor(areas, dtype=torch.float64),
        size=record.size,
        image_id=record.id,
    )
    return replace(_learnable(truth, pixels), truth=truth)


def _learnable(truth: Target, pixels: Tensor) -> Target:
    """The target for training: float32, with clipped boxes, without objects that became empty.

    Args:
        truth: all objects in the file.
        pixels: int64 [N], numbers of pixels of the masks, used as areas, since some converters
            write an `area` of zero, or the same one for every object.
    """
    boxes = clip_boxes(truth.boxes, truth.size).float()
    target = replace(truth, boxes=boxes, area=pixels.float())
    kept = (boxes[:, 2:] > boxes[:, :2]).all(dim=1) & (pixels > 0)
    return target if kept.all() else target[kept]


def semantic_from_masks(masks: Tensor, labels: Tensor, iscrowd: Tensor) -> Tensor:
    """Paint objects into one label map: smaller ones lie on top, crowd pixels are ignored.

    Args:
        masks: bool [N, H, W].
        labels: int64 [N], 1…C.
        iscrowd: bool [N].

    Returns:
        int64 [H, W], 0 background, 255 ignored.
    """
    semantic = masks.new_full(masks.shape[1:], BACKGROUND, dtype=torch.int64)
    for index in mask_area(masks).argsort(descending=True, stable=True).tolist():
        semantic[masks[index]] = labels[index]
    if iscrowd.any():
        semantic[masks[iscrowd].any(0)] = IGNORE
    return semantic


def build_panoptic(segment_ids: Tensor, entry: Annotation, labels: Mapping[int, int]) -> Panoptic:
    """The panoptic map of one image, its segments renumbered 1…S in the file's order.

    Segments of categories without a label become unlabelled.

    Args:
        segment_ids: int32 [H, W] of the PNG.
        entry: the image's panoptic annotation with its `segments_info`.
        labels: label 1…C by COCO category id.

    Raises:
        SeglibError: the PNG contains a segment that `segments_info` does not list.
    """
    segment_map = torch.zeros_like(segment_ids, dtype=torch.int64)
    listed = segment_ids == 0
    kept = []
    for segment in entry["segments_info"]:
        inside = segment_ids == segment["id"]
        listed |= inside
        if segment["category_id"] in labels:
            kept.append(segment)
            segment_map.masked_fill_(inside, len(kept))
    if not listed.all():
        unlisted = int(segment_ids[~listed][0])
        raise SeglibError(
            f"image {entry['image_id']}: its panoptic PNG contains segment {unlisted}, which "
            "'segments_info' does not list: use the PNG and the JSON of one version"
        )
    return Panoptic(
        segment_map=segment_map,
        ids=torch.arange(1, len(kept) + 1),
        labels=torch.tensor([labels[s["category_id"]] for s in kept], dtype=torch.int64),
        iscrowd=torch.tensor([bool(s.get("iscrowd", 0)) for s in kept], dtype=torch.bool),
    )


def semantic_from_panoptic(panoptic: Panoptic, unlabelled: int = IGNORE) -> Tensor:
    """The label of every pixel's segment; crowd segments are ignored.

    Args:
        panoptic: with ids 1…S, as `build_panoptic` numbers them.
        unlabelled: value for pixels without a segment.

    Returns:
        int64 [H, W], 0 background, 255 ignored.
    """
    table = torch.full((int(panoptic.ids.max()) + 1 if len(panoptic) else 1,), unlabelled)
    table[panoptic.ids] = torch.where(panoptic.iscrowd, IGNORE, panoptic.labels)
    return table[panoptic.segment_map]
