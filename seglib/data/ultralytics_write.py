"""Convert COCO data sets to a folder of polygons for Ultralytics' programs.

    data.yaml            train, val (folders of images) and names of the classes
    images/train/a.jpg   the images of a split
    labels/train/a.txt   the polygons in each image, see ultralytics_labels.py

The format has one polygon per object, no crowds, and no ids. Parts and holes are therefore joined
by seams (seglib/ops/outlines.py), crowds are left out, and COCO's category ids are kept in
data.yaml under `coco_ids`, which Ultralytics' programs ignore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from seglib.atomic import write_atomic
from seglib.data.annotations import annotation_masks
from seglib.data.coco import CocoFolder
from seglib.data.conversion import Conversion, check_empty, copy_image
from seglib.data.ultralytics_labels import (
    DIGITS,
    format_label,
    label_path,
    write_yaml,
    yaml_package,
)
from seglib.errors import SeglibError
from seglib.ops.outlines import join_outlines, mask_outlines
from seglib.ops.polygons import rasterize

Floats = NDArray[np.float64]


def to_ultralytics(
    datasets: Sequence[CocoFolder],
    folder: Path,
    watch: Callable[[int], object] = lambda done: None,
) -> Conversion:
    """Convert the splits of a COCO data set to one Ultralytics folder.

    Args:
        datasets: the splits, with the same categories.
        folder: must be empty or not exist yet.
        watch: called with the number of images done.

    Raises:
        SeglibError: the package pyyaml is missing, the folder is not empty, the splits have
            different categories, two images have the same name, or a sample cannot be read.
    """
    yaml_package()  # before anything is written
    check_empty(folder)
    things = datasets[0].categories.things
    if any(data.categories.things != things for data in datasets):
        raise SeglibError("the splits have different categories: convert them one by one")
    numbers = {category.coco_id: number for number, category in enumerate(things)}
    done = Conversion()
    for data in datasets:
        for image_id in data.image_ids:
            name = Path(data.record(image_id).file_name)
            lines = _label_lines(data, image_id, numbers, done)
            image = folder / "images" / data.split / name
            if label_path(image).exists():
                raise SeglibError(f"two images of {data.split} are called {name.stem}: rename one")
            copy_image(data.image_path(image_id), image)
            _write(label_path(image), "".join(f"{line}\n" for line in lines).encode())
            done.images += 1
            watch(done.images)
    splits = {data.split: f"images/{data.split}" for data in datasets}
    # Ultralytics' programs need both splits. Without "path", they search next to data.yaml.
    settings = {
        "train": splits.get("train") or splits["val"],
        "val": splits.get("val") or splits["train"],
        "names": {number: category.name for number, category in enumerate(things)},
        "coco_ids": {number: category.coco_id for number, category in enumerate(things)},
    }
    _write(folder / "data.yaml", write_yaml(settings))
    return done


def _write(path: Path, content: bytes) -> None:
    write_atomic(path, lambda stream: stream.write(content))


def _label_lines(
    data: CocoFolder, image_id: int, numbers: dict[int, int], done: Conversion
) -> list[str]:
    """The label lines of an image's objects, which are counted in `done`."""
    record = data.record(image_id)
    kept = [a for a in data.annotations(image_id) if a["category_id"] in numbers]
    lines = []
    for annotation, mask in zip(kept, annotation_masks(kept, record.size), strict=True):
        if annotation.get("iscrowd", 0):
            done.crowds += 1
        elif not mask.any():
            done.empty += 1
        else:
            corners, parts = _polygon(annotation.get("segmentation"), mask)
            done.objects += 1
            done.joined += parts > 1
            done.lowest_iou = min(done.lowest_iou, _iou(corners, mask))
            lines.append(format_label(numbers[annotation["category_id"]], corners))
    return lines


def _polygon(segmentation: Any, mask: Tensor) -> tuple[Floats, int]:
    """One polygon for an object.

    The file's own polygons have the fewest corners. If joining or clipping them changes the mask,
    and for run lengths, the outlines of the mask's pixels are used instead.

    Returns:
        corners [K, 2] in 0…1, as they will be in the file, and the number of joined outlines.
    """
    if isinstance(segmentation, list):
        corners = _normalised(join_outlines(segmentation), mask)
        if _iou(corners, mask) == 1:
            return corners, len(segmentation)
    outlines = mask_outlines(mask)
    return _normalised(join_outlines(outlines), mask), len(outlines)


def _normalised(corners: Floats, mask: Tensor) -> Floats:
    """Corners [K, 2] in pixels of a mask [H, W] -> in 0…1, rounded as in the file."""
    height, width = mask.shape
    return (corners / (width, height)).clip(0, 1).round(DIGITS)


def _iou(corners: Floats, mask: Tensor) -> float:
    """The IoU of a mask [H, W] with the polygon of corners [K, 2] in 0…1."""
    height, width = mask.shape
    again = rasterize([corners * (width, height)], (height, width))
    return float((again & mask).sum() / (again | mask).sum())
