"""COCO's 80 thing categories (Lin et al. 2014), for weights published without annotations."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from seglib.structures import Categories

# In the order of their ids, which run from 1 to 90 with ten gaps.
_COCO = """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear,
zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball,
kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup,
fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut,
cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush"""
_GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}

# The 20 classes of PASCAL VOC in VOC's order, by their COCO names: the classes of torchvision's
# semantic segmentation networks.
_VOC = """airplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, dining table, dog,
horse, motorcycle, person, potted plant, sheep, couch, train, tv"""


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


@cache
def coco_categories() -> Categories:
    """The things of COCO's instance annotations: labels 1…80, ids 1…90."""
    ids = [number for number in range(1, 91) if number not in _GAPS]
    return Categories.from_coco(
        {"id": number, "name": name} for number, name in zip(ids, _names(_COCO), strict=True)
    )


@cache
def voc_categories() -> Categories:
    """The 20 COCO categories that are also in PASCAL VOC, labels 1…20 in VOC's order."""
    coco = coco_categories()
    return Categories(
        replace(coco.by_name(name), label=label) for label, name in enumerate(_names(_VOC), start=1)
    )
