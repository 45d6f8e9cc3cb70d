"""Find all faults of a data set at once, and report what is left out of it and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from seglib.counted import counted
from seglib.data.coco import CocoFolder
from seglib.data.coco_notes import listed
from seglib.data.datasets import load_dataset
from seglib.data.images import SUFFIXES, is_companion
from seglib.errors import SeglibError
from seglib.ops.boxes import clip_boxes
from seglib.ops.masks import mask_area
from seglib.structures import Target

TINY_OBJECT = 16  # px: few models learn smaller objects
Watch = Callable[[Sequence[int]], Iterable[int]]


@dataclass
class Findings:
    """What `check_dataset` found.

    Attributes:
        faults: one message per fault, to be fixed or removed.
        notes: one message per peculiarity: what may not be as intended, or is left out and why.
        images: number of images that could be read.
        objects: number of objects in these images, without crowds.
        crowds: number of crowds in these images.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    images: int = 0
    objects: int = 0
    crowds: int = 0


def check_dataset(spec: str | None = None, split: str = "val", watch: Watch = iter) -> Findings:
    """Read every record and every image of a data set.

    Args:
        spec: as for `load_dataset`.
        split: "train" or "val".
        watch: see `CocoFolder.check`.
    """
    faults: list[str] = []
    try:
        data = load_dataset(spec, split, faults=faults)
    except SeglibError as error:  # a fault that prevents the whole file from being read
        return Findings([*faults, f"{error} (nothing else could be checked)"])
    census = _Census()
    faults += data.check(census.add, watch)
    notes = [*data.notes, *census.notes(), *_category_notes(data, census), *_file_notes(data)]
    return Findings(faults, notes, census.images, census.objects, census.crowds)


@dataclass
class _Census:
    """Counts over the images of a data set.

    Attributes:
        empty: ids of images without objects.
        unseen: the image id of each object whose mask has no pixel.
        beyond: the image id of each object whose box is partly outside the image.
        doubled: the image id of each object that equals an earlier one in class, box and mask.
        labels: number of objects by label.
        largest: number of pixels of the largest object.
    """

    images: int = 0
    objects: int = 0
    crowds: int = 0
    largest: int = 0
    empty: list[int] = field(default_factory=list)
    unseen: list[int] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    labels: Counter[int] = field(default_factory=Counter)

    def add(self, target: Target) -> None:
        """Count the objects of one image."""
        truth = target.to_find
        pixels, crowds = mask_area(truth.masks), int(truth.iscrowd.sum())
        self.images += 1
        self.crowds += crowds
        self.objects += len(truth) - crowds
        self.labels.update(truth.labels.tolist())
        self.largest = max([self.largest, *pixels[~truth.iscrowd].tolist()])
        if len(truth) == 0:
            self.empty.append(truth.image_id)
        for found, is_one in (
            (self.unseen, pixels == 0),
            (self.beyond, _reaches_beyond(truth)),
            (self.doubled, _is_double(truth)),
        ):
            found += [truth.image_id] * sum(map(bool, is_one))

    def notes(self) -> list[str]:
        """Notes on the counts."""
        found = [
            (self.empty, "without objects: good as negatives, if that is what they are"),
            (self.unseen, "whose mask has no pixel: left out of training, counted in evaluations"),
            (self.beyond, "whose box extends beyond the image: clipped for training only"),
            (self.doubled, "equal to an earlier one of the same image in class, box and mask"),
        ]
        notes = []
        for ids, text in found:
            what = "image" if ids is self.empty else "object"
            if ids:
                where = f"image{'s' if len(set(ids)) > 1 else ''} {listed(sorted(set(ids)))}"
                notes.append(f"{counted(len(ids), what)} {text} ({where})")
        if self.objects and self.largest < TINY_OBJECT:
            notes.append(
                f"the largest object has {counted(self.largest, 'pixel')}, which is too small for "
                "most models"
            )
        return notes


def _reaches_beyond(truth: Target) -> Tensor:
    """bool [N], boxes partly outside the image; completely outside ones have their own note."""
    clipped = clip_boxes(truth.boxes, truth.size)
    has_area = (clipped[:, 2:] > clipped[:, :2]).all(dim=1)
    return has_area & (clipped != truth.boxes).any(dim=1)


def _is_double(truth: Target) -> list[bool]:
    """For each of N objects, whether an earlier object of the image is equal."""
    seen: set[Any] = set()
    doubles = []
    for label, box, mask in zip(truth.labels, truth.boxes, truth.masks, strict=True):
        key = (int(label), *box.tolist(), mask.numpy().tobytes())
        doubles.append(key in seen)
        seen.add(key)
    return doubles


def _category_notes(data: CocoFolder, census: _Census) -> list[str]:
    unused = [c.name for c in data.categories.things if not census.labels[c.label]]
    if not unused:
        return []
    what = "category has" if len(unused) == 1 else "categories have"
    return [f"{len(unused)} {what} no object in these images: {listed(unused)}"]


def _file_notes(data: CocoFolder) -> list[str]:
    """Notes on image files that several records name, and on files that no record names."""
    names = Counter(data.record(image_id).file_name for image_id in data.image_ids)
    repeated = [name for name, count in names.items() if count > 1]
    unlisted = sorted(
        path.name
        for path in data.images_dir.iterdir()
        if path.suffix.lower() in SUFFIXES and not is_companion(path) and path.name not in names
    )
    return [
        f"{counted(len(found), 'image file')} {text}: {listed(found)}"
        for found, text in (
            (repeated, "named by more than one record of 'images'"),
            (unlisted, "not listed in 'images' and left out"),
        )
        if found
    ]
