"""Choose pictures on which paradigms differ, by what they contain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from seglib.data.choosing import touching_pairs
from seglib.data.coco import CocoFolder
from seglib.errors import SeglibError
from seglib.ops.boxes import box_iou
from seglib.structures import AreaRanges, Target

SEARCHED = 100  # images; a longer search takes seconds and finds little more

Score = Callable[[Target, AreaRanges], float]


@dataclass(frozen=True)
class Picture:
    """An image of a comparison.

    Attributes:
        image: float [3, H, W] in 0…1.
        target: its true objects.
        kind: what it was chosen for, such as "small objects".
    """

    image: Tensor
    target: Target
    kind: str


def _covering(target: Target, ranges: AreaRanges) -> float:
    """How much boxes overlap: the sum of their pairwise IoUs."""
    return float(box_iou(target.boxes, target.boxes).triu(1).sum())


def _small(target: Target, ranges: AreaRanges) -> float:
    """The number of small objects."""
    return float((target.area < ranges["small"][1]).sum())


def _large(target: Target, ranges: AreaRanges) -> float:
    """The number of large objects minus that of the others."""
    return float((2 * (target.area >= ranges["large"][0]).float() - 1).sum())


def _alike(target: Target, ranges: AreaRanges) -> float:
    """The number of touching pairs of objects of the same class."""
    return float(len(touching_pairs(target)))


KINDS: Mapping[str, Score] = {
    "overlap": _covering,
    "small objects": _small,
    "large objects": _large,
    "same class": _alike,
}


def choose_pictures(dataset: CocoFolder, count: int) -> list[Picture]:
    """Choose the images among the first hundred that score highest for each of `KINDS`.

    The kinds take turns; each chooses the best image that is not chosen yet. The same data set and
    count always give the same images.

    Raises:
        SeglibError: there are fewer than `count` images, or `count` is less than 1.
    """
    searched = min(len(dataset), SEARCHED)
    if not 1 <= count <= searched:
        raise SeglibError(f"choose 1 to {searched} pictures, not {count}")
    targets = [dataset[index][1] for index in range(searched)]
    taken: dict[int, str] = {}
    for kind, score in [*KINDS.items()] * count:
        if len(taken) == count:
            break
        left = [index for index in range(searched) if index not in taken]
        scores = {n: score(targets[n][~targets[n].iscrowd], dataset.area_ranges) for n in left}
        taken[max(left, key=scores.__getitem__)] = kind
    return [Picture(*dataset[index], kind) for index, kind in taken.items()]
