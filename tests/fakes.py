"""A tiny data set and a tiny model, for tests of what is around them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from seglib.models import build_model
from seglib.models.fcn import FCN
from seglib.structures import COCO_AREA_RANGES, Categories, Category, Target
from tests.modelling import masks_target

CATEGORIES = Categories([Category(1, 7, "square"), Category(2, 3, "bar"), Category(3, 9, "dot")])


class Squares:
    """Each image shows one square whose brightness tells its class; image ids are 100 + index."""

    name = "squares"
    categories = CATEGORIES
    area_ranges = COCO_AREA_RANGES

    def __init__(self, count: int = 12, size: int = 48) -> None:
        self.count, self.size = count, size
        self.image_ids = [100 + index for index in range(count)]
        self.reads = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        self.reads += 1
        generator = torch.Generator().manual_seed(index)
        label = 1 + index % 3
        x, y = torch.randint(0, self.size // 2, (2,), generator=generator).tolist()
        side = self.size // 2
        mask = torch.zeros(1, self.size, self.size, dtype=torch.bool)
        mask[0, y : y + side, x : x + side] = True
        noise = torch.rand(3, self.size, self.size, generator=generator)
        image = torch.where(mask, label / 4, 0.0) + 0.2 * noise
        image = (image.clamp(0, 1) * 255).round() / 255
        semantic = mask[0].long() * label
        target = masks_target(mask, [label], image_id=self.image_ids[index], semantic=semantic)
        return image, target


def tiny_fcn(categories: Categories = CATEGORIES, seed: int = 0, **overrides: object) -> FCN:
    """An FCN-8s with a few thousand parameters; group norm, so that batches can be split."""
    torch.manual_seed(seed)
    small = {
        "stages": ((8,), (8,), (8,), (8,), (8,)),
        "head_width": 8,
        "norm": "group",
        "dropout": 0.1,
    }
    model = build_model("fcn", categories, **{**small, **overrides})
    assert isinstance(model, FCN)
    return model


def write_squares(folder: Path, images: int = 6) -> Path:
    """`Squares` as a COCO folder with a train and a val split."""
    records = [
        {"id": c.coco_id, "name": c.name, "supercategory": "shape"} for c in Squares.categories
    ]
    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (folder / split).mkdir()
        data = Squares(images)
        content = {"images": [], "annotations": [], "categories": records}
        for index, image_id in enumerate(data.image_ids):
            image, target = data[index]
            name = f"{image_id:012d}.png"
            pixels = (image.permute(1, 2, 0) * 255).round().byte().numpy()
            Image.fromarray(pixels).save(folder / split / name)
            side = data.size
            content["images"].append(
                {"id": image_id, "file_name": name, "height": side, "width": side}
            )
            x0, y0, x1, y1 = target.boxes[0].tolist()
            category = data.categories.by_label(int(target.labels[0]))
            content["annotations"].append(
                {
                    "id": index + 1,
                    "image_id": image_id,
                    "category_id": category.coco_id,
                    "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": float(target.area[0]),
                    "iscrowd": 0,
                }
            )
        path = folder / "annotations" / f"instances_{split}.json"
        path.write_text(json.dumps(content))
    return folder
