"""COCO's categories, for weights published without annotations.

80 things (Lin et al. 2014), and for panoptic segmentation 53 kinds of stuff (Kirillov et al. 2019).
"""

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

# In the order of their ids, which run from 92 to 200.
_COCO_STUFF = """banner, blanket, bridge, cardboard, counter, curtain, door-stuff, floor-wood,
flower, fruit, gravel, house, light, mirror-stuff, net, pillow, platform, playingfield, railroad,
river, road, roof, sand, sea, shelf, snow, stairs, tent, towel, wall-brick, wall-stone, wall-tile,
wall-wood, water-other, window-blind, window-other, tree-merged, fence-merged, ceiling-merged,
sky-other-merged, cabinet-merged, table-merged, floor-other-merged, pavement-merged,
mountain-merged, grass-merged, dirt-merged, paper-merged, food-other-merged, building-other-merged,
rock-merged, wall-other-merged, rug-merged"""
_COCO_STUFF_IDS = """92 93 95 100 107 109 112 118 119 122 125 128 130 133 138 141 144 145 147 148
149 151 154 155 156 159 161 166 168 171 175 176 177 178 180 181 184 185 186 187 188 189 190 191 192
193 194 195 196 197 198 199 200"""

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
def coco_panoptic_categories() -> Categories:
    """The classes of COCO's panoptic annotations: 80 things, then 53 kinds of stuff."""
    things = [{"id": c.coco_id, "name": c.name} for c in coco_categories()]
    stuff = [
        {"id": int(number), "name": name, "isthing": 0}
        for number, name in zip(_COCO_STUFF_IDS.split(), _names(_COCO_STUFF), strict=True)
    ]
    return Categories.from_coco([*things, *stuff])


@cache
def voc_categories() -> Categories:
    """The 20 COCO categories that are also in PASCAL VOC, labels 1…20 in VOC's order."""
    coco = coco_categories()
    return Categories(
        replace(coco.by_name(name), label=label) for label, name in enumerate(_names(_VOC), start=1)
    )
