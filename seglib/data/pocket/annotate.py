"""Scenes as COCO records: polygons or run lengths, boxes, and the panoptic map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from seglib.data.pocket.classes import SIZE, category_records
from seglib.data.pocket.scene import Scene, SceneObject

Corner = tuple[int, int]
"""x, y of a corner between pixels."""

_COLORS = {record["id"]: record["color"] for record in category_records()}


@dataclass
class Records:
    """What the two JSON files say about one image.

    Attributes:
        instances: COCO annotation records, ids still to be given.
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
    free = np.ones((SIZE, SIZE), bool)
    for thing in scene.objects:
        free &= ~thing.mask
    for category_id in np.unique(scene.stuff).tolist():
        mask = (scene.stuff == category_id) & free
        if mask.any():
            _add_segment(segments, segment_map, mask, category_id, False)
    for thing in scene.objects:
        _add_segment(segments, segment_map, thing.mask, thing.category_id, thing.iscrowd)
    instances = [_instance(thing, image_id) for thing in scene.objects]
    return Records(instances, segments, segment_map)


def _add_segment(
    segments: list[dict[str, Any]],
    segment_map: NDArray[np.int32],
    mask: NDArray[np.bool_],
    category_id: int,
    iscrowd: bool,
) -> None:
    red, green, blue = _COLORS[category_id]
    taken = {segment["id"] for segment in segments}
    step = 0
    while (segment_id := _shade(red, step) + 256 * _shade(green, step) + 65536 * blue) in taken:
        step += 1
    segment_map[mask] = segment_id
    segments.append(
        {
            "id": segment_id,
            "category_id": category_id,
            "area": int(mask.sum()),
            "bbox": _bbox(mask),
            "iscrowd": int(iscrowd),
        }
    )


def _shade(value: int, step: int) -> int:
    """A neighbouring colour for another object of the class; stays in 0…255."""
    moved = value + 12 * step
    return moved if moved < 256 else (value - 12 * step) % 256


def _bbox(mask: NDArray[np.bool_]) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]


def _instance(thing: SceneObject, image_id: int) -> dict[str, Any]:
    area = int(thing.mask.sum())
    return {
        "image_id": image_id,
        "category_id": thing.category_id,
        "segmentation": _segmentation(thing.mask, thing.iscrowd),
        "area": area,
        "bbox": _bbox(thing.mask),
        "iscrowd": int(thing.iscrowd),
        "full_area": thing.full_area,
        "truncated": int(thing.truncated),
    }


def _segmentation(mask: NDArray[np.bool_], iscrowd: bool) -> Any:
    """Polygons where they decode to exactly this mask; else run lengths, as in COCO."""
    if iscrowd:
        return {"size": [SIZE, SIZE], "counts": run_lengths(mask)}
    polygons = outlines(mask)
    if polygons is not None:
        encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, SIZE, SIZE))
        if np.array_equal(coco_mask.decode(encoded).astype(bool), mask):
            return polygons
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [SIZE, SIZE], "counts": encoded["counts"].decode("ascii")}


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Uncompressed COCO RLE: lengths of runs down the columns, starting with zeros."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate([[0], changes, [mask.size]])
    counts = np.diff(ends).tolist()
    return counts[:-1] if counts[-1] == 0 else counts


def outlines(mask: NDArray[np.bool_]) -> list[list[int]] | None:
    """Corners [x0, y0, x1, y1, …] of each piece's pixel outline, or None if it has holes.

    Walks the cracks between pixels, from corner to corner, with the object on the right-hand
    side; where two pixels touch only at a corner they become separate pieces.
    """
    x0, y0, width, height = _bbox(mask)
    padded = np.zeros((height + 2, width + 2), np.int8)
    padded[1:-1, 1:-1] = mask[y0 : y0 + height, x0 : x0 + width]
    across = np.diff(padded, axis=0)  # [h + 1, w + 2]: edges above each pixel row
    down = np.diff(padded, axis=1).T  # [w + 1, h + 2]: edges left of each pixel column
    following: dict[Corner, list[Corner]] = {}
    for y, left, right in _runs(across == 1):
        following.setdefault((left, y), []).append((right, y))
    for y, left, right in _runs(across == -1):
        following.setdefault((right, y), []).append((left, y))
    for x, top, bottom in _runs(down == -1):
        following.setdefault((x, top), []).append((x, bottom))
    for x, top, bottom in _runs(down == 1):
        following.setdefault((x, bottom), []).append((x, top))
    polygons = []
    while following:
        ring = _walk(following)
        before = [ring[-1], *ring[:-1]]
        twice_area = sum(x * v - u * y for (x, y), (u, v) in zip(ring, before, strict=True))
        if twice_area > 0:  # turns the other way: the rim of a hole
            return None
        polygons.append([value for x, y in ring for value in (x + x0, y + y0)])
    return polygons


def _runs(edges: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Line, first and last corner of every straight run; the first column has no edge."""
    changes = edges[:, 1:] != edges[:, :-1]
    lines, corners = (found.tolist() for found in changes.nonzero())
    return zip(lines[::2], corners[::2], corners[1::2], strict=True)


def _walk(following: dict[Corner, list[Corner]]) -> list[Corner]:
    """Take one closed ring out of the runs."""
    here = before = next(iter(following))
    ring: list[Corner] = []
    while here in following:
        choices = following[here]
        after = choices.pop(_sharpest(choices, here, before) if len(choices) > 1 else 0)
        if not choices:
            del following[here]
        ring.append(here)
        before, here = here, after
    return ring


def _sharpest(choices: list[Corner], here: Corner, before: Corner) -> int:
    """At a corner shared by two pixels turn right, so that the pieces stay apart."""
    right_x, right_y = before[1] - here[1], here[0] - before[0]
    for i, (x, y) in enumerate(choices):
        if (x - here[0]) * right_x + (y - here[1]) * right_y > 0:
            return i
    return 0
