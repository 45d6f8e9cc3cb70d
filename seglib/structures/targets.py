"""The ground truth of one image."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from seglib.structures.tensor_rows import TensorRows

# COCO's object sizes: (smallest, largest) area in px². Other data sets bring their own.
AreaRanges = dict[str, tuple[float, float]]
COCO_AREA_RANGES: AreaRanges = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}


@dataclass(eq=False)
class Panoptic(TensorRows):
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
class Target(TensorRows):
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
