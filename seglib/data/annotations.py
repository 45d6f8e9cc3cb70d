"""The masks and boxes of COCO annotation records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seglib.data.coco_json import Annotation
from seglib.errors import SeglibError
from seglib.ops.masks import masks_to_boxes
from seglib.ops.polygons import rasterize, rasterize_objects
from seglib.ops.rle import RLE, decode, from_string


def annotation_mask(annotation: Annotation, size: tuple[int, int]) -> Tensor:
    """The mask of one annotation, from polygons or from uncompressed or compressed run lengths.

    Args:
        annotation: a record of `annotations`.
        size: (H, W) of its image.

    Returns:
        bool [H, W].

    Raises:
        SeglibError: the segmentation is malformed; the message names the annotation.
    """
    try:
        return _segmentation_mask(annotation.get("segmentation"), size)
    except SeglibError as error:
        raise SeglibError(
            f"annotation {annotation.get('id', '(without id)')}: {error}; fix or remove it"
        ) from error


def annotation_masks(annotations: Sequence[Annotation], size: tuple[int, int]) -> Tensor:
    """The masks of several annotations, bool [N, H, W]; polygons are rasterised together."""
    masks = torch.zeros(len(annotations), *size, dtype=torch.bool)
    outlined = [i for i, a in enumerate(annotations) if _has_polygons(a.get("segmentation"))]
    one_by_one = set(range(len(annotations))) - set(outlined)
    try:
        outlines = [annotations[i]["segmentation"] for i in outlined]
        masks[outlined] = rasterize_objects(outlines, size)
    except SeglibError:
        one_by_one |= set(outlined)  # so that the error names the annotation
    for index in sorted(one_by_one):
        masks[index] = annotation_mask(annotations[index], size)
    return masks


def annotation_box(annotation: Annotation, mask: Tensor) -> list[float]:
    """The annotated box as corners, not clipped to the image; without one, that of the mask."""
    if "bbox" not in annotation:
        return [float(value) for value in masks_to_boxes(mask[None])[0]]
    x, y, width, height = map(float, annotation["bbox"])
    return [x, y, x + width, y + height]


def _has_polygons(segmentation: Any) -> bool:
    return isinstance(segmentation, list) and len(segmentation) > 0


def _segmentation_mask(segmentation: Any, size: tuple[int, int]) -> Tensor:
    if _has_polygons(segmentation):
        return rasterize(segmentation, size)
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise SeglibError("'segmentation' must be polygons or run lengths ({'size', 'counts'})")
    declared = segmentation.get("size")
    if declared != list(size):
        raise SeglibError(f"its run lengths are for size {declared}, its image has {list(size)}")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        return decode(from_string(counts, size))
    if not isinstance(counts, list) or not all(type(run) is int for run in counts):
        raise SeglibError("'counts' must be a list of whole numbers or a compressed string")
    return decode(RLE(size, counts))
