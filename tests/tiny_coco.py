"""A COCO folder of a few tiny files with every oddity that the reader must handle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

CATEGORIES = [
    {"id": 18, "name": "dog", "supercategory": "animal"},
    {"id": 1, "name": "person", "supercategory": "person"},
    {"id": 44, "name": "bottle", "supercategory": "kitchen"},
]
PANOPTIC_CATEGORIES = [
    *({**c, "isthing": 1, "color": [200, 20 * i, 0]} for i, c in enumerate(CATEGORIES)),
    {"id": 149, "name": "sand", "isthing": 0, "color": [10, 20, 30]},
]
ODD, GREY, CMYK, TURNED, EMPTY = 11, 12, 13, 14, 15  # image ids
EXIF_ORIENTATION = 0x0112


@dataclass
class TinyCoco:
    """The folder and its JSON; to introduce a fault, tests change `content` and call `save`."""

    folder: Path
    split: str = "val2017"
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> Path:
        return self.folder / self.split

    @property
    def json_path(self) -> Path:
        return self.folder / "annotations" / f"instances_{self.split}.json"

    def save(self) -> None:
        self.json_path.write_text(json.dumps(self.content))

    def annotation(self, annotation_id: int) -> dict[str, Any]:
        return next(a for a in self.content["annotations"] if a["id"] == annotation_id)


def build_tiny_coco(folder: Path, split: str = "val2017") -> TinyCoco:
    """Write five images with seven valid annotations to `folder`."""
    tiny = TinyCoco(folder, split)
    tiny.images.mkdir(parents=True)
    tiny.json_path.parent.mkdir(exist_ok=True)
    sizes = _write_images(tiny.images)
    tiny.content = {
        "images": [
            {"id": i, "file_name": _name(i), "height": h, "width": w} for i, (h, w) in sizes.items()
        ],
        "annotations": _annotations(),
        "categories": CATEGORIES,
    }
    tiny.save()
    return tiny


def ring() -> np.ndarray:
    """bool [37, 53]: a ring, that is, a mask with a hole."""
    mask = np.zeros((37, 53), dtype=bool)
    mask[5:25, 10:40] = True
    mask[10:20, 20:30] = False
    return mask


def crowd() -> np.ndarray:
    """bool [37, 53]: two stripes, which touch the first and the last column."""
    mask = np.zeros((37, 53), dtype=bool)
    mask[30:34] = True
    mask[:3, :7] = True
    return mask


def uncompressed(mask: np.ndarray) -> dict[str, Any]:
    """COCO's uncompressed RLE, by counting pixel by pixel."""
    counts, current, run = [], False, 0
    for pixel in mask.T.reshape(-1).tolist():
        if pixel != current:
            counts.append(run)
            current, run = pixel, 0
        run += 1
    return {"size": list(mask.shape), "counts": [*counts, run]}


def compressed(mask: np.ndarray) -> dict[str, Any]:
    """COCO's compressed RLE, by pycocotools."""
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def add_panoptic(tiny: TinyCoco) -> None:
    """Write panoptic JSON and PNGs: the left half is sand, with a dog; below it lies a crowd."""
    maps = tiny.folder / f"panoptic_{tiny.split}"
    maps.mkdir()
    entries = []
    for image in tiny.content["images"]:
        ids = np.zeros((image["height"], image["width"]), dtype=np.int64)
        ids[:, : image["width"] // 2] = 70_000
        ids[2:8, 3:9] = 5
        ids[-2:] = 300
        digits = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
        name = f"{image['id']:012d}.png"
        Image.fromarray(digits).save(maps / name)
        segments = [
            {"id": 70_000, "category_id": 149, "iscrowd": 0, "area": 1, "bbox": [0, 0, 1, 1]},
            {"id": 5, "category_id": 18, "iscrowd": 0, "area": 36, "bbox": [3, 2, 6, 6]},
            {"id": 300, "category_id": 1, "iscrowd": 1, "area": 1, "bbox": [0, 0, 1, 1]},
        ]
        entries.append({"image_id": image["id"], "file_name": name, "segments_info": segments})
    content = {
        "images": tiny.content["images"],
        "annotations": entries,
        "categories": PANOPTIC_CATEGORIES,
    }
    path = tiny.json_path.with_name(f"panoptic_{tiny.split}.json")
    path.write_text(json.dumps(content))


def _name(image_id: int) -> str:
    return f"{image_id:012d}.jpg"


def _write_images(folder: Path) -> dict[int, tuple[int, int]]:
    """Write the photographs; return the (H, W) that their annotations refer to."""
    noise = np.random.default_rng(0)
    colors = noise.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    Image.fromarray(colors).save(folder / _name(ODD), quality=95)
    grey = np.full((20, 31), 100, dtype=np.uint8)
    Image.fromarray(grey, mode="L").save(folder / _name(GREY))
    # Pure cyan ink absorbs red, but not green or blue.
    cyan = Image.new("CMYK", (24, 16), (255, 0, 0, 0))
    cyan.save(folder / _name(CMYK), quality=95)
    # Stored 40 wide and 30 high; a viewer turns it upright, with its left half at the top.
    lying = np.zeros((30, 40, 3), dtype=np.uint8)
    lying[:, :20] = 255
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6  # a quarter turn clockwise
    Image.fromarray(lying).save(folder / _name(TURNED), exif=exif, quality=95)
    Image.fromarray(colors[:9, :50]).save(folder / _name(EMPTY))
    return {ODD: (37, 53), GREY: (20, 31), CMYK: (16, 24), TURNED: (40, 30), EMPTY: (9, 50)}


def _annotations() -> list[dict[str, Any]]:
    def record(number: int, image: int, category: int, shape: Any, box: list[float]) -> Any:
        return {
            "id": number,
            "image_id": image,
            "category_id": category,
            "iscrowd": 0,
            "segmentation": shape,
            "bbox": box,
            "area": box[2] * box[3],
        }

    square = [12.0, 6.0, 20.0, 6.0, 20.0, 14.0, 12.0, 14.0]
    group = record(3, ODD, 1, uncompressed(crowd()), [0, 0, 53, 34])
    return [
        record(1, ODD, 18, compressed(ring()), [10, 5, 30, 20]),
        record(2, ODD, 44, [square], [12, 6, 8, 8]),
        {**group, "iscrowd": 1},
        record(4, GREY, 1, [[2, 2, 9, 2, 9, 9, 2, 9], [15, 3, 25, 3, 20, 15]], [2, 2, 23, 13]),
        record(5, CMYK, 44, [[4.5, 3.2, 11.7, 3.9, 8.1, 12.4]], [4.5, 3.2, 7.2, 9.2]),
        record(6, TURNED, 18, [[0, 0, 30, 0, 30, 20, 0, 20]], [0, 0, 30, 20]),
        record(7, TURNED, 1, [[5, 22, 15, 22, 15, 38, 5, 38]], [5, 22, 10, 16]),
    ]
