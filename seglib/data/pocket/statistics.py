"""Statistics of a Pocket COCO split: objects, sizes, occlusion, touching neighbours."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO
from scipy.ndimage import binary_dilation, label

from seglib.data.pocket.classes import AREA_RANGES

OCCLUDED_FROM = 0.03
"""An object counts as partly occluded if others hide more than this share of it."""

_ALL_AROUND = np.ones((3, 3), bool)


@dataclass
class Statistics:
    """The contents of a split. Shares refer to the objects without crowds.

    Attributes:
        images, objects, crowds: their numbers.
        per_image: number of annotations, crowds included, per image.
        sizes: shares of small, medium and large objects by Pocket's area ranges.
        smallest_area: the smallest annotated area, px².
        occluded: share partly hidden by other objects.
        truncated: share cut by the border of the image.
        touching: share that touches another object of the same class.
        several_parts: share whose mask has several pieces.
        with_hole: share whose mask has a hole.
        per_class: number of objects by category name.
    """

    images: int
    objects: int
    crowds: int
    per_image: list[int]
    sizes: dict[str, float]
    smallest_area: int
    occluded: float
    truncated: float
    touching: float
    several_parts: float
    with_hole: float
    per_class: dict[str, int] = field(default_factory=dict)


def measure(folder: Path | str, split: str) -> Statistics:
    """Read a split of Pocket COCO and compute its statistics."""
    coco = read(Path(folder) / "annotations" / f"instances_{split}.json")
    objects = [a for a in coco.anns.values() if not a["iscrowd"]]
    names = {category["id"]: category["name"] for category in coco.cats.values()}
    shape = Counter[str]()
    for image_id in coco.imgs:
        shape.update(_shapes(coco, image_id))
    areas = np.array([a["area"] for a in objects])

    def share(count: float) -> float:
        return float(count) / max(1, len(objects))

    return Statistics(
        images=len(coco.imgs),
        objects=len(objects),
        crowds=len(coco.anns) - len(objects),
        per_image=[len(coco.imgToAnns[i]) for i in coco.imgs],
        sizes={
            name: share(((areas >= low) & (areas < high)).sum())
            for name, (low, high) in AREA_RANGES.items()
            if name != "all"
        },
        smallest_area=int(min(a["area"] for a in coco.anns.values())),
        occluded=share(sum(a["area"] < (1 - OCCLUDED_FROM) * a["full_area"] for a in objects)),
        truncated=share(sum(a["truncated"] for a in objects)),
        touching=share(shape["touching"]),
        several_parts=share(shape["several_parts"]),
        with_hole=share(shape["with_hole"]),
        per_class=dict(Counter(names[a["category_id"]] for a in objects).most_common()),
    )


def read(path: Path) -> COCO:
    """Read an annotation file with pycocotools, without its messages."""
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def load_image(folder: Path | str, split: str, record: dict[str, Any]) -> NDArray[np.uint8]:
    """The image of an `images` record, uint8 [H, W, 3]."""
    with Image.open(Path(folder) / split / record["file_name"]) as image:
        return np.asarray(image.convert("RGB"))


def _shapes(coco: COCO, image_id: int) -> Counter[str]:
    """How many objects of an image touch another of their class, have several parts, or a hole."""
    annotations = [a for a in coco.imgToAnns[image_id] if not a["iscrowd"]]
    masks = [coco.annToMask(a).astype(bool) for a in annotations]
    count: Counter[str] = Counter()
    for i, (annotation, mask) in enumerate(zip(annotations, masks, strict=True)):
        wide = binary_dilation(mask, _ALL_AROUND)
        count["touching"] += any(
            bool((wide & masks[j]).any())
            for j, other in enumerate(annotations)
            if j != i and other["category_id"] == annotation["category_id"]
        )
        count["several_parts"] += label(mask, _ALL_AROUND)[1] > 1
        count["with_hole"] += label(np.pad(~mask, 1, constant_values=True))[1] > 1
    return count
