"""Data sets that a converter wrote wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tests.fakes import write_squares
from tests.planted_faults.fault import Arguments, Fault

Content = dict[str, Any]


def edited(
    folder: Path, change: Callable[[Content], object], splits: Sequence[str] = ("train", "val")
) -> str:
    """`write_squares` with changed annotations."""
    write_squares(folder, images=9)
    for split in splits:
        path = folder / "annotations" / f"instances_{split}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return f"coco:{folder}"


def each(change: Callable[[Content], object]) -> Callable[[Content], None]:
    """Apply a change to every annotation."""

    def edit(content: Content) -> None:
        for record in content["annotations"]:
            change(record)

    return edit


def as_corners(record: Content) -> None:
    """(x, y, width, height) → (x0, y0, x1, y1)."""
    x, y, width, height = record["bbox"]
    record["bbox"] = [x, y, x + width, y + height]


def rows_first(record: Content) -> None:
    """Polygons as y, x."""
    (points,) = record["segmentation"]
    pairs = zip(points[::2], points[1::2], strict=True)
    record["segmentation"] = [[value for x, y in pairs for value in (y, x)]]


def next_image(content: Content) -> None:
    """Give every annotation to the next image."""
    ids = [image["id"] for image in content["images"]]
    for record in content["annotations"]:
        record["image_id"] = ids[(ids.index(record["image_id"]) + 1) % len(ids)]


def rotated_names(content: Content) -> None:
    """Give every category the name of the next one."""
    names = [record["name"] for record in content["categories"]]
    for record, name in zip(content["categories"], names[1:] + names[:1], strict=True):
        record["name"] = name


def truncated_image(folder: Path) -> Arguments:
    spec = edited(folder, lambda content: None)
    victim = sorted((folder / "val").glob("*.png"))[2]
    victim.write_bytes(victim.read_bytes()[:200])
    return [spec]


def black_images(folder: Path) -> Arguments:
    spec = edited(folder, lambda content: None)
    for path in folder.glob("*/*.png"):
        Image.new("RGB", (48, 48)).save(path)
    return [spec]


DATA_FAULTS = (
    Fault(
        "data: bbox as corners",
        lambda folder: [edited(folder, each(as_corners))],
        "data-boxes",
    ),
    Fault(
        "data: polygons as y, x",
        lambda folder: [edited(folder, each(rows_first))],
        "data-masks",
    ),
    Fault(
        "data: all objects are crowds",
        lambda folder: [edited(folder, each(lambda record: record.update(iscrowd=1)))],
        "all-crowds",
    ),
    Fault(
        "data: annotations of the next image",
        lambda folder: [edited(folder, next_image)],
        "data-outlines",
    ),
    Fault(
        "data: class names of val in another order",
        lambda folder: [edited(folder, rotated_names, ["val"])],
        "splits-disagree",
    ),
    Fault("data: a truncated image", truncated_image, "data-faults"),
    Fault("data: images divided by 255 twice", black_images, "blank-images"),
)
