"""A data set of a few coloured shapes, for tests of what takes a data set."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.structures import Categories, Target
from tests.modelling import masks_target

TOY_CATEGORIES = Categories.from_coco(
    [
        {"id": 1, "name": "disc", "isthing": 1},
        {"id": 3, "name": "square", "isthing": 1},
        {"id": 7, "name": "sea", "isthing": 0},
    ]
)
TOY_AREA_RANGES = {
    "all": (0.0, 1e10),
    "small": (0.0, 150.0),
    "medium": (150.0, 350.0),
    "large": (350.0, 1e10),
}


class ToyDataset:
    """[3, 64, 72] images with four objects of two classes above a sea, the same every time."""

    name = "toy"
    categories = TOY_CATEGORIES
    area_ranges = TOY_AREA_RANGES

    def __init__(self, length: int = 3, semantic: bool = True) -> None:
        self._length, self._semantic = length, semantic

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        if not 0 <= index < self._length:
            raise IndexError(index)
        rng = torch.Generator().manual_seed(index)
        y, x = torch.meshgrid(torch.arange(64), torch.arange(72), indexing="ij")
        masks, labels = [], []
        for number in range(4):
            radius = 5 + int(torch.randint(0, 8, (), generator=rng))
            cx = 10 + 17 * number + int(torch.randint(-3, 4, (), generator=rng))
            cy = 12 + int(torch.randint(0, 36, (), generator=rng))
            label = 1 + number % 2
            distance = (x - cx) ** 2 + (y - cy) ** 2
            inside = (
                distance < radius**2
                if label == 1
                else ((x - cx).abs() < radius - 2) & ((y - cy).abs() < radius - 2)
            )
            masks.append(inside)
            labels.append(label)
        stacked = torch.stack(masks)
        image = 0.2 + 0.1 * torch.rand(3, 64, 72, generator=rng)
        semantic = torch.where(y > 40, 3, 0)
        for mask, label in zip(stacked, labels, strict=True):
            image[label - 1, mask] = 0.9
            semantic[mask] = label
        known = semantic if self._semantic else None
        return image, masks_target(stacked, labels, image_id=index + 1, semantic=known)
