"""The constants of Pocket COCO: its version, image size, categories and area ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglib.structures import Categories

VERSION = 1
"""The version, part of every seed. A change of even one mask pixel requires a new number."""

SIZE = 128
"""Height and width of every image, in pixels."""

AREA_RANGES: dict[str, tuple[float, float]] = {
    "all": (0.0, 1e10),
    "small": (0.0, 256.0),
    "medium": (256.0, 1600.0),
    "large": (1600.0, 1e10),
}
"""Pocket's own size ranges in px², with bounds at 16² and 40². COCO's are at 32² and 96²."""

# id, name, supercategory, colour; ids and names are COCO's (those of its panoptic task for stuff).
_THINGS = (
    (1, "person", "person", (220, 20, 60)),
    (3, "car", "vehicle", (0, 60, 200)),
    (5, "airplane", "vehicle", (0, 170, 200)),
    (9, "boat", "vehicle", (255, 140, 0)),
    (16, "bird", "animal", (250, 200, 30)),
    (17, "cat", "animal", (150, 75, 0)),
    (28, "umbrella", "accessory", (170, 50, 200)),
    (38, "kite", "sports", (255, 105, 180)),
    (47, "cup", "kitchen", (0, 120, 120)),
    (60, "donut", "food", (255, 170, 150)),
    (64, "potted plant", "furniture", (20, 140, 60)),
    (85, "clock", "indoor", (90, 90, 90)),
)
_STUFF = (
    (149, "road", "ground", (128, 64, 128)),
    (155, "sea", "water", (60, 130, 190)),
    (187, "sky-other-merged", "sky-stuff", (150, 200, 240)),
    (193, "grass-merged", "plant-stuff", (150, 220, 130)),
)

ROAD, SEA, SKY, GRASS = (record[0] for record in _STUFF)


def category_records() -> list[dict[str, Any]]:
    """COCO `categories` records with `supercategory`, `isthing` and `color`, in order of id."""
    return [
        {
            "id": coco_id,
            "name": name,
            "supercategory": supercategory,
            "isthing": int(records is _THINGS),
            "color": list(color),
        }
        for records in (_THINGS, _STUFF)
        for coco_id, name, supercategory, color in records
    ]


def categories() -> Categories:
    """The 12 things and 4 stuff classes, labelled 1…16 in order of COCO id."""
    from seglib.structures import Categories  # here, because drawing does not need torch

    return Categories.from_coco(category_records())
