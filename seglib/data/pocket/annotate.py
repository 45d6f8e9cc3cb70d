"""Scenes as COCO records: polygons or run lengths, boxes, and the panoptic map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from seglib.data.pocket.classes import GRASS, ROAD, SEA, SIZE, SKY, category_records
from seglib.data.pocket.outlines import outlines
from seglib.data.pocket.scene import Scene, SceneObject

_STUFF_IDS = sorted((GRASS, ROAD, SEA, SKY))
_COLORS = {record["id"]: record["color"] for record in category_records()}


@dataclass
class Records:
    """The records of one image in the two JSON files.

    Attributes:
        instances: COCO annotation records, still without ids.
        segments: panoptic `segments_info`.
        segment_map: int32 [H, W] segment ids, R + 256 G + 256² B in the PNG.
    """

    instances: list[dict[str, Any]]
    segments: list[dict[str, Any]]
    segment_map: NDArray[np.int32]


def annotate(scene: Scene, image_id: int) -> Records:
    """All records of one scene."""
    segment_map = np.zeros((SIZE, SIZE), np.int32)
    segments: list[dict[str, Any]] = []
    stuff_area = np.ones((SIZE, SIZE), bool)
    for scene_object in scene.objects:
        stuff_area &= ~scene_object.mask
    for category_id in _STUFF_IDS:
        mask = (scene.stuff == category_id) & stuff_area
        if mask.any():
            extent = _extent(mask)
            segments.append(_segment(segments, segment_map, mask, extent, category_id, False))
    instances = []
    for scene_object in scene.objects:
        extent = _extent(scene_object.mask)
        segments.append(
            _segment(
                segments,
                segment_map,
                scene_object.mask,
                extent,
                scene_object.category_id,
                scene_object.iscrowd,
            )
        )
        instances.append(_instance(scene_object, extent, image_id))
    return Records(instances, segments, segment_map)


def _extent(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """The area and bounding box of a mask."""
    return {"area": int(np.count_nonzero(mask)), "bbox": _bbox(mask)}


def _segment(
    segments: list[dict[str, Any]],
    segment_map: NDArray[np.int32],
    mask: NDArray[np.bool_],
    extent: dict[str, Any],
    category_id: int,
    iscrowd: bool,
) -> dict[str, Any]:
    """The record of one more segment, whose id is written into the map."""
    red, green, blue = _COLORS[category_id]
    taken = {segment["id"] for segment in segments}
    step = 0
    while (segment_id := _shade(red, step) + 256 * _shade(green, step) + 65536 * blue) in taken:
        step += 1
    segment_map[mask] = segment_id
    return {"id": segment_id, "category_id": category_id, **extent, "iscrowd": int(iscrowd)}


def _shade(value: int, step: int) -> int:
    """A similar colour for another object of the class, in 0…255."""
    moved = value + 12 * step
    return moved if moved < 256 else (value - 12 * step) % 256


def _bbox(mask: NDArray[np.bool_]) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]


def _instance(scene_object: SceneObject, extent: dict[str, Any], image_id: int) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "category_id": scene_object.category_id,
        "segmentation": _segmentation(scene_object.mask, extent["bbox"], scene_object.iscrowd),
        **extent,
        "iscrowd": int(scene_object.iscrowd),
        "full_area": scene_object.full_area,
        "truncated": int(scene_object.truncated),
    }


def _segmentation(mask: NDArray[np.bool_], bbox: list[int], iscrowd: bool) -> Any:
    """Polygons if they decode to exactly this mask, otherwise run lengths, as in COCO."""
    if iscrowd:
        return {"size": [SIZE, SIZE], "counts": run_lengths(mask)}
    polygons = outlines(mask, bbox)
    if polygons is not None:
        encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, SIZE, SIZE))
        if np.array_equal(coco_mask.decode(encoded).view(bool), mask):
            return polygons
    encoded = coco_mask.encode(np.asfortranarray(mask.view(np.uint8)))
    return {"size": [SIZE, SIZE], "counts": encoded["counts"].decode("ascii")}


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Uncompressed COCO RLE: lengths of runs down the columns, starting with background."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate([[0], changes, [mask.size]])
    counts = np.diff(ends).tolist()
    return counts[:-1] if counts[-1] == 0 else counts
