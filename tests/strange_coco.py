"""A small COCO folder as a learner might bring: few images, and classes of its own.

Its classes are none of Pocket COCO's. It has one split only, images of several sizes, an image
without objects, objects at the border and on top of each other, and crowds if it is large.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

NAMES = ("zebra", "toaster", "lamp")
SIZES = ((240, 180), (180, 240), (200, 200), (320, 150))  # (width, height) in px
CORNERS = 24  # of an outline
EMPTY = 3  # the index of the image without objects
CROWD_EVERY = 20  # images
Outline = list[tuple[float, float]]


def write_strange_coco(folder: Path, images: int, classes: int) -> Path:
    """Write a val split of so many images, with the first of `NAMES` as classes.

    Returns:
        the folder.
    """
    pictures = folder / "val2017"
    pictures.mkdir(parents=True)
    (folder / "annotations").mkdir()
    noise = np.random.default_rng(images)
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(images):
        width, height = SIZES[index % len(SIZES)]
        name = f"{index + 1:012d}.jpg"
        canvas = Image.fromarray(_background(height, width, noise))
        count = 0 if index == EMPTY else 1 + index % 5
        for _ in range(count):
            label = int(noise.integers(classes))
            outline = _outline(width, height, noise)
            ImageDraw.Draw(canvas).polygon(outline, fill=_colour(label, noise))
            annotations.append(_annotation(len(annotations) + 1, index + 1, label, outline))
        canvas.save(pictures / name, quality=95)
        records.append({"id": index + 1, "file_name": name, "height": height, "width": width})
        if index % CROWD_EVERY == CROWD_EVERY - 1:
            annotations.append(_crowd(len(annotations) + 1, index + 1, width, height))
    categories = [
        {"id": label + 1, "name": name, "supercategory": "thing"}
        for label, name in enumerate(NAMES[:classes])
    ]
    content = {"images": records, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return folder


def _background(height: int, width: int, noise: np.random.Generator) -> np.ndarray:
    """uint8 [H, W, 3]: grey noise around one colour."""
    colour = noise.integers(60, 160, 3)
    grains = noise.integers(-25, 26, (height, width, 1))
    return (colour + grains).astype(np.uint8)


def _colour(label: int, noise: np.random.Generator) -> tuple[int, int, int]:
    """Bright in one channel for each class."""
    channels = [int(v) for v in noise.integers(0, 90, 3)]
    channels[label] = 230
    return channels[0], channels[1], channels[2]


def _outline(width: int, height: int, noise: np.random.Generator) -> Outline:
    """A wobbly ellipse, 8 px to half an image wide, which may touch the border."""
    radii = noise.uniform(4, min(width, height) / 4, 2) * noise.uniform(0.5, 1, 1) + 4
    middle = noise.uniform(0, 1, 2) * (width, height)
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    wobble = noise.uniform(0.85, 1.15, CORNERS)
    x = (middle[0] + radii[0] * wobble * np.cos(angles)).clip(0, width)
    y = (middle[1] + radii[1] * wobble * np.sin(angles)).clip(0, height)
    return [(round(float(a), 1), round(float(b), 1)) for a, b in zip(x, y, strict=True)]


def _annotation(number: int, image: int, label: int, outline: Outline) -> dict[str, Any]:
    corners = np.array(outline)
    low, high = corners.min(axis=0), corners.max(axis=0)
    turned = np.roll(corners, -1, axis=0)
    area = abs(np.sum(corners[:, 0] * turned[:, 1] - corners[:, 1] * turned[:, 0])) / 2
    return {
        "id": number,
        "image_id": image,
        "category_id": label + 1,
        "segmentation": [corners.flatten().tolist()],
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "area": float(area),
        "iscrowd": 0,
    }


def _crowd(number: int, image: int, width: int, height: int) -> dict[str, Any]:
    """A crowd of the first class, in the lowest tenth of the image, as RLE."""
    mask = np.zeros((height, width), dtype=np.uint8, order="F")
    top = height - height // 10
    mask[top:] = 1
    rle = coco_mask.encode(mask)
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "segmentation": {"size": [height, width], "counts": rle["counts"].decode()},
        "bbox": [0, top, width, height - top],
        "area": int(mask.sum()),
        "iscrowd": 1,
    }
