"""Structures that all of seglib shares: categories, targets, predictions, padded batches.

Conventions, pinned by tests/test_conventions.py:
    boxes   float32 [N, 4], corners (x0, y0, x1, y1) in pixels, half-open: x1 - x0 is the width
    masks   bool [N, H, W]
    images  float32 [3, H, W] in 0…1, RGB
    labels  int64, 1…C; 0 is background; COCO ids appear only where files are read or written
    semantic int64 [H, W], 0 background, 1…C, 255 ignored
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from seglib.errors import SeglibError

BACKGROUND = 0
IGNORE = 255

# COCO's object sizes: (smallest, largest) area in px². Other data sets bring their own.
AreaRanges = dict[str, tuple[float, float]]
COCO_AREA_RANGES: AreaRanges = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}


@dataclass(frozen=True)
class Category:
    """One class of a dataset.

    Attributes:
        label: contiguous number, 1…C.
        coco_id: the id in COCO files.
        name: unique within the dataset.
        is_thing: countable object (True) or stuff such as sky (False).
        color: RGB, 0…255, for pictures.
    """

    label: int
    coco_id: int
    name: str
    is_thing: bool = True
    color: tuple[int, int, int] = (128, 128, 128)


class Categories(Sequence[Category]):
    """The classes of a dataset in label order; lives in dataset, checkpoint and prediction.

    Index 0 is label 1: iterate for the categories, or look one up with `by_label`,
    `by_coco_id`, `by_name`.
    """

    def __init__(self, items: Iterable[Category]) -> None:
        """Raises SeglibError unless labels run 1…C and ids and names are unique."""
        self._items = tuple(items)
        labels = [category.label for category in self._items]
        if labels != list(range(1, len(labels) + 1)):
            raise SeglibError(f"category labels must run 1…{len(labels)}, got {labels}")
        self._by_coco_id: dict[int, Category] = {}
        self._by_name: dict[str, Category] = {}
        for category in self._items:
            if category.coco_id in self._by_coco_id:
                names = f"{self._by_coco_id[category.coco_id].name!r} and {category.name!r}"
                raise SeglibError(
                    f"category ids must be unique: {names} both have the id {category.coco_id}"
                )
            if category.name in self._by_name:
                ids = f"{self._by_name[category.name].coco_id} and {category.coco_id}"
                raise SeglibError(
                    f"category names must be unique: {category.name!r} is the name of the ids {ids}"
                )
            self._by_coco_id[category.coco_id] = self._by_name[category.name] = category

    @classmethod
    def from_coco(cls, records: Iterable[dict[str, Any]]) -> Categories:
        """Read COCO `categories` records (`id`, `name`, `isthing`, `color`) by rising id."""
        ordered = sorted(records, key=lambda record: int(record["id"]))
        return cls(
            Category(
                label=label,
                coco_id=int(record["id"]),
                name=str(record["name"]),
                is_thing=bool(record.get("isthing", 1)),
                color=tuple(record.get("color") or _spread_color(label)),
            )
            for label, record in enumerate(ordered, start=1)
        )

    def to_coco(self) -> list[dict[str, Any]]:
        """The COCO `categories` records; `from_coco` reads them back."""
        return [
            {"id": c.coco_id, "name": c.name, "isthing": int(c.is_thing), "color": list(c.color)}
            for c in self._items
        ]

    def by_label(self, label: int) -> Category:
        """The category with this label; SeglibError outside 1…C."""
        if not 1 <= label <= len(self._items):
            raise SeglibError(f"no category has label {label}: labels run 1…{len(self._items)}")
        return self._items[label - 1]

    def by_coco_id(self, coco_id: int) -> Category:
        """The category with this COCO id; SeglibError when unknown."""
        if coco_id not in self._by_coco_id:
            raise SeglibError(f"unknown category id {coco_id}: not in the file's 'categories'")
        return self._by_coco_id[coco_id]

    def by_name(self, name: str) -> Category:
        """The category with this name; SeglibError when unknown."""
        if name not in self._by_name:
            raise SeglibError(
                f"no category is called {name!r}: choose among {', '.join(self.names)}"
            )
        return self._by_name[name]

    @property
    def fit_label_maps(self) -> bool:
        """Whether a semantic map can hold all labels: 255 means ignored, so at most 254."""
        return len(self._items) < IGNORE

    @property
    def names(self) -> tuple[str, ...]:
        """Names in label order; names[0] is label 1."""
        return tuple(category.name for category in self._items)

    @property
    def things(self) -> tuple[Category, ...]:
        """The countable categories."""
        return tuple(category for category in self._items if category.is_thing)

    @property
    def stuff(self) -> tuple[Category, ...]:
        """The uncountable categories."""
        return tuple(category for category in self._items if not category.is_thing)

    def shared_with(self, other: Categories) -> dict[int, int]:
        """Labels of this set mapped to labels of `other`, for the names in both."""
        return {
            category.label: other.by_name(category.name).label
            for category in self._items
            if category.name in other._by_name
        }

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Category]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Categories) and self._items == other._items

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        counts = f"{len(self.things)} things, {len(self.stuff)} stuff"
        return f"Categories({counts}: {', '.join(self.names)})"


def _spread_color(label: int) -> tuple[int, int, int]:
    """Neighbouring labels get distant hues: steps of the golden ratio around the circle."""
    hue = (label * 0.61803398875) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(
        hue, 0.65 + 0.25 * (label % 2), 0.95 - 0.2 * (label % 3 == 0)
    )
    return round(red * 255), round(green * 255), round(blue * 255)


class _Movable:
    """Shared by the dataclasses below: `.to(device)`."""

    def to(self, device: torch.device | str) -> Self:
        """A copy with every tensor on `device`."""
        moved = {
            f.name: value.to(device)
            for f in fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, f.name), Tensor | _Movable)
        }
        return replace(self, **moved)  # type: ignore[type-var]


class _TensorRows(_Movable):
    """Shared by those with rows: indexing and `len`."""

    _per_row: tuple[str, ...] = ()

    def __getitem__(self, index: Tensor | slice | list[int]) -> Any:
        rows = {
            name: getattr(self, name)[index]
            for name in self._per_row
            if getattr(self, name) is not None
        }
        return replace(self, **rows)  # type: ignore[type-var]


@dataclass(eq=False)
class Panoptic(_TensorRows):
    """One label and one object number for every pixel.

    Attributes:
        segment_map: int64 [H, W], 0 for unlabelled, else the id of a segment.
        ids: int64 [S] segment ids.
        labels: int64 [S] their labels.
        iscrowd: bool [S].
    """

    segment_map: Tensor
    ids: Tensor
    labels: Tensor
    iscrowd: Tensor

    _per_row = ("ids", "labels", "iscrowd")

    def __len__(self) -> int:
        return int(self.ids.numel())


@dataclass(eq=False)
class Target(_TensorRows):
    """The ground truth of one image. Row i of every [N, …] field is the same object.

    Attributes:
        boxes: float32 [N, 4] pixels.
        labels: int64 [N], 1…C.
        masks: bool [N, H, W].
        iscrowd: bool [N], a group of objects outlined as one.
        area: float32 [N] px², the pixels of the masks.
        size: (H, W) of the image this target belongs to.
        image_id: the COCO image id.
        semantic: int64 [H, W] with 0 background and 255 ignored, or None.
        panoptic: or None.
        truth: what an evaluation compares with, if it differs from what a model should learn:
            all objects of the file, with its own boxes and areas in float64, nothing clipped or
            left out. None if this target is all that is known; a selection of rows has none.
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor
    iscrowd: Tensor
    area: Tensor
    size: tuple[int, int]
    image_id: int = 0
    semantic: Tensor | None = None
    panoptic: Panoptic | None = None
    truth: Target | None = None

    _per_row = ("boxes", "labels", "masks", "iscrowd", "area")

    def __getitem__(self, index: Tensor | slice | list[int]) -> Target:
        rows: Target = super().__getitem__(index)
        return replace(rows, truth=None)

    def __len__(self) -> int:
        return int(self.labels.numel())

    @property
    def to_find(self) -> Target:
        """The objects that an evaluation compares with: `truth`, or without one this target."""
        return self if self.truth is None else self.truth


@dataclass(eq=False)
class Instances(_TensorRows):
    """Detected objects or proposals of one image, best score first.

    Attributes:
        boxes: float32 [N, 4] pixels of the original image.
        scores: float32 [N] in 0…1.
        labels: int64 [N], 1…C; all 1 for class-agnostic proposals.
        masks: bool [N, H, W] at the original size, or None for boxes alone.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor | None = None

    _per_row = ("boxes", "scores", "labels", "masks")

    def __len__(self) -> int:
        return int(self.scores.numel())


@dataclass(eq=False)
class Prediction(_Movable):
    """A model's prediction for one image; its `tasks` names the fields that it fills.

    Attributes:
        size: (H, W) of the original image.
        categories: what the labels mean.
        instances: detected objects with classes.
        proposals: class-agnostic candidates.
        semantic: int64 [H, W] labels, 0 background.
        panoptic: segments that do not overlap.
    """

    size: tuple[int, int]
    categories: Categories
    instances: Instances | None = None
    proposals: Instances | None = None
    semantic: Tensor | None = None
    panoptic: Panoptic | None = None

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """The instances as records of COCO's result format, for `COCO.loadRes` and its like.

        Args:
            image_id: of the image in COCO's files.

        Returns:
            for each instance image_id, category_id (COCO's), score, bbox (x, y, width, height in
            pixels) and, if the model predicts masks, segmentation (compressed run lengths).

        Raises:
            SeglibError: there are no instances, as with models that only label pixels.
        """
        from pycocotools.mask import encode

        rows = self._instances()
        columns = zip(rows.labels.tolist(), rows.scores.tolist(), rows.boxes.tolist(), strict=True)
        records: list[dict[str, Any]] = [
            {
                "image_id": image_id,
                "category_id": self.categories.by_label(label).coco_id,
                "score": score,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
            }
            for label, score, (x0, y0, x1, y1) in columns
        ]
        if rows.masks is not None:
            for record, mask in zip(records, rows.masks, strict=True):
                runs = encode(np.asfortranarray(mask.cpu().numpy().astype(np.uint8)))
                record["segmentation"] = {**runs, "counts": runs["counts"].decode()}
        return records

    def to_supervision(self) -> Any:
        """The instances as `supervision.Detections`, for that package's annotators and trackers.

        `class_id` is the index into `categories.names`; `data["class_name"]` has the names.

        Raises:
            SeglibError: the package is not installed, or there are no instances.
        """
        rows = self._instances().to("cpu")
        try:
            from supervision import Detections
        except ImportError as error:
            raise SeglibError(
                "this needs the package supervision: pip install supervision"
            ) from error
        names = [self.categories.by_label(label).name for label in rows.labels.tolist()]
        return Detections(
            xyxy=rows.boxes.numpy(),
            mask=None if rows.masks is None else rows.masks.numpy(),
            confidence=rows.scores.numpy(),
            class_id=rows.labels.numpy() - 1,
            data={"class_name": np.array(names, dtype=str)},
        )

    def _instances(self) -> Instances:
        if self.instances is None:
            raise SeglibError(
                "this prediction has no instances with classes and scores: only the predictions of "
                "models that detect objects can be converted"
            )
        return self.instances


@dataclass(eq=False)
class ImageBatch:
    """Images of different sizes in one tensor, padded at the right and the bottom.

    Attributes:
        tensor: float32 [B, 3, H, W].
        sizes: the true (H, W) of every image.
    """

    tensor: Tensor
    sizes: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def from_images(
        cls,
        images: Sequence[Tensor],
        divisor: int = 1,
        pad_value: float = 0.0,
        *,
        square: bool = False,
    ) -> ImageBatch:
        """Pad images to the largest height and width, rounded up to a multiple of `divisor`.

        Args:
            images: float tensors [3, h_i, w_i], at least one; see `check_images`.
            divisor: the batch's height and width are multiples of it.
            pad_value: fills the padding.
            square: pad to the larger of both, in both directions.
        """
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        largest = (max(h for h, _ in sizes), max(w for _, w in sizes))
        if square:
            largest = (max(largest), max(largest))
        height, width = (-(-side // divisor) * divisor for side in largest)
        tensor = images[0].new_full((len(images), 3, height, width), pad_value)  # [B, 3, H, W]
        for index, (image, (h, w)) in enumerate(zip(images, sizes, strict=True)):
            tensor[index, :, :h, :w] = image
        return cls(tensor, sizes)

    @property
    def canvas(self) -> tuple[int, int]:
        """(H, W) of the padded tensor."""
        return self.tensor.shape[-2], self.tensor.shape[-1]

    @property
    def padding_mask(self) -> Tensor:
        """bool [B, H, W], True in the padding."""
        mask = torch.ones(
            len(self.sizes), *self.tensor.shape[-2:], dtype=torch.bool, device=self.tensor.device
        )
        for row, (height, width) in zip(mask, self.sizes, strict=True):
            row[:height, :width] = False
        return mask

    def __len__(self) -> int:
        return len(self.sizes)


def check_images(images: Sequence[Tensor]) -> None:
    """Refuse images that no model can process.

    Raises:
        SeglibError: no image, or one that is not a float [3, H, W] tensor, has no pixel, or has
            NaN or infinite pixels.
    """
    if len(images) == 0:
        raise SeglibError("a batch needs at least one image")
    for index, image in enumerate(images):
        if not isinstance(image, Tensor) or image.ndim != 3 or image.shape[0] != 3:
            shape = list(getattr(image, "shape", [])) or type(image).__name__
            raise SeglibError(f"image {index} must be a [3, H, W] tensor, got {shape}")
        if not image.is_floating_point():
            raise SeglibError(
                f"image {index} must be float in 0…1, got {image.dtype}: divide bytes by 255"
            )
        if image.numel() == 0:
            raise SeglibError(f"image {index} has no pixels: its shape is {list(image.shape)}")
        if not all_finite(image):
            raise SeglibError(f"image {index} has NaN or infinite pixels: they must be in 0…1")


def all_finite(values: Tensor) -> bool:
    """Whether no value is NaN or infinite; on a CPU much faster than `isfinite().all()`."""
    if values.numel() == 0:
        return True
    low, high = values.detach().aminmax()  # both are NaN if any value is
    return math.isfinite(low) and math.isfinite(high)
