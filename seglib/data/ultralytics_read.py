"""Convert a data set in Ultralytics' format to a COCO folder; see also ultralytics_write.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglib.atomic import write_atomic
from seglib.data.conversion import Conversion, check_empty, copy_image
from seglib.data.images import SUFFIXES, is_companion, upright_size
from seglib.data.ultralytics_labels import class_names, label_path, parse_labels, read_yaml
from seglib.errors import SeglibError
from seglib.ops.polygons import rasterize

Floats = NDArray[np.float64]
SPLITS = ("train", "val")


def from_ultralytics(
    source: Path, folder: Path, watch: Callable[[int], object] = lambda done: None
) -> Conversion:
    """Convert an Ultralytics folder of polygons to a COCO folder.

    Polygons are kept as they are, with their seams. A category's id is taken from `coco_ids`;
    without these, it is the class's number in `names` plus 1.

    Args:
        source: the folder with data.yaml, or the path of that file.
        folder: must be empty or not exist yet.
        watch: called with the number of images done.

    Raises:
        SeglibError: the folder is not empty, or a file is missing or malformed; the message names
            the file and the line.
    """
    check_empty(folder)
    path = source / "data.yaml" if source.is_dir() else source
    settings = read_yaml(path)
    names = class_names(path, settings)
    categories = [
        {"id": number, "name": name}
        for number, name in zip(_category_ids(path, settings, len(names)), names, strict=True)
    ]
    done = Conversion()
    for split, images in _splits(path, settings).items():
        content = _coco_content(images, folder / split, categories, done, watch)
        target = folder / "annotations" / f"instances_{split}.json"
        _write(target, json.dumps(content, ensure_ascii=False).encode())
    return done


def _write(path: Path, content: bytes) -> None:
    write_atomic(path, lambda stream: stream.write(content))


def _coco_content(
    images: Path,
    target: Path,
    categories: list[dict[str, Any]],
    done: Conversion,
    watch: Callable[[int], object],
) -> dict[str, Any]:
    """Copy a split's images, and return its annotations."""
    files = sorted(p for p in images.rglob("*") if p.suffix.lower() in SUFFIXES)
    files = [path for path in files if not is_companion(path)]
    if not files:
        raise SeglibError(f"{images} has no images")
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": categories}
    for image_id, file in zip(_image_ids(files), files, strict=True):
        relative = file.relative_to(images)
        height, width = upright_size(file)
        content["images"].append(
            {"id": image_id, "file_name": relative.as_posix(), "height": height, "width": width}
        )
        for number, normalised in parse_labels(label_path(file), len(categories)):
            annotation = _annotation(normalised, (height, width))
            annotation |= {
                "id": len(content["annotations"]) + 1,
                "image_id": image_id,
                "category_id": categories[number]["id"],
            }
            content["annotations"].append(annotation)
        copy_image(file, target / relative)
        done.images += 1
        watch(done.images)
    done.objects += len(content["annotations"])
    return content


def _annotation(normalised: Floats, size: tuple[int, int]) -> dict[str, Any]:
    """Polygon, box and area in pixels of an object with corners [K, 2] in 0…1.

    Size is the image's (H, W).
    """
    height, width = size
    corners = normalised * (width, height)
    (x0, y0), (x1, y1) = corners.min(0).tolist(), corners.max(0).tolist()
    return {
        "segmentation": [corners.ravel().round(3).tolist()],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": int(rasterize([corners], size).sum()),
        "iscrowd": 0,
    }


def _image_ids(files: Sequence[Path]) -> list[int]:
    """The file names as ids, as in COCO, if all of them are different numbers; otherwise 1…N."""
    stems = [file.stem for file in files]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdigit()]
    return numbers if len(set(numbers)) == len(files) else list(range(1, len(files) + 1))


def _category_ids(path: Path, settings: dict[str, Any], classes: int) -> list[int]:
    """The category id of each class, by its number."""
    known = settings.get("coco_ids")
    if known is None:
        return list(range(1, classes + 1))
    values = [known.get(number) for number in range(classes)] if isinstance(known, dict) else []
    ids = [value for value in values if type(value) is int]
    if len(set(ids)) != classes:
        raise SeglibError(f"{path}: 'coco_ids' must give each class its own whole number")
    return ids


def _splits(path: Path, settings: dict[str, Any]) -> dict[str, Path]:
    """The folder of images of each split; a folder that both splits name is read once."""
    found = {split: _images_folder(path, settings, split) for split in SPLITS}
    folders = {split: images for split, images in found.items() if images is not None}
    if not folders:
        raise SeglibError(f"{path} names no folder of images: set 'train' or 'val'")
    if len(folders) == 2 and folders["train"] == folders["val"]:
        images = folders["val"]
        return {"val" if images.name.startswith("val") else "train": images}
    return folders


def _images_folder(path: Path, settings: dict[str, Any], split: str) -> Path | None:
    """The folder of a split's images; None if data.yaml does not name one."""
    named = settings.get(split)
    if named is None:
        return None
    if not isinstance(named, str):
        raise SeglibError(f"{path}: {split!r} must be the path of one folder of images")
    root = path.parent / str(settings.get("path") or ".")
    # "path" may be that of another computer, and Roboflow writes "../train/images" for a folder
    # next to data.yaml; Ultralytics' programs accept both.
    tried = [root / named, path.parent / named, path.parent / named.removeprefix("../")]
    for images in tried:
        if images.is_dir():
            return images.resolve()
    raise SeglibError(f"{path}: the folder of {split!r} is not at {tried[0]}")
