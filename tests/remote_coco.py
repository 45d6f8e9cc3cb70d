"""A folder like COCO's own server, from which COCO mini is fetched."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools.coco import COCO

CATEGORIES = [(1, "person"), (18, "dog"), (62, "chair")]
COUNT = 24
ZIP = "/annotations/annotations_trainval2017.zip"


def build_remote(folder: Path) -> Path:
    """A folder with COCO's layout: images, and a zip file with these and other annotations."""
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image_id in range(1, COUNT + 1):
        name = f"{image_id:012d}.jpg"
        pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "val2017" / name)
        images.append({"id": image_id, "file_name": name, "width": 64, "height": 48})
        for offset in range(1 + image_id % 2):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CATEGORIES[(image_id + offset) % 3][0],
                    "iscrowd": 0,
                    "bbox": [2.5, 3, 10, 10],
                    "area": 100.25,
                    "segmentation": [[2.5, 3, 12.5, 3, 12.5, 13, 2.5, 13]],
                }
            )
    content = {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": n, "supercategory": "x"} for i, n in CATEGORIES],
    }
    with zipfile.ZipFile(folder / ZIP.lstrip("/"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations/captions_val2017.json", rng.bytes(200_000))
        archive.writestr("annotations/instances_val2017.json", json.dumps(content))
        archive.writestr("annotations/person_keypoints_val2017.json", rng.bytes(200_000))
    return folder


def check_folder(folder: Path, images: int = 10) -> None:
    """Both splits load in pycocotools, are disjoint and complete, and have only our categories."""
    seen = set()
    for split in ("train", "val"):
        coco = COCO(folder / "annotations" / f"instances_{split}.json")
        assert {c["name"] for c in coco.cats.values()} == {"dog", "person"}
        for record in coco.imgs.values():
            with Image.open(folder / split / record["file_name"]) as image:
                assert image.size == (record["width"], record["height"])
            assert coco.getAnnIds(record["id"])
        assert not seen & set(coco.imgs)
        seen |= set(coco.imgs)
    assert len(seen) == images
