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
        segment_map: int64 [H, W], the id of each pixel's segment; 0 for unlabelled pixels.
        ids: int64 [S], the ids of the segments.
        labels: int64 [S], 1…C.
        iscrowd: bool [S], whether a segment is a group of objects outlined as one.
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
        boxes: float32 [N, 4], corners in pixels.
        labels: int64 [N], 1…C.
        masks: bool [N, H, W].
        iscrowd: bool [N], whether an object is a group of objects outlined as one.
        area: float32 [N] in px², the number of pixels of each mask.
        size: (H, W) of the image.
        image_id: the COCO image id.
        semantic: int64 [H, W], 1…C, 0 for background and 255 for ignored pixels; None if unknown.
        panoptic: the panoptic map; None if unknown.
        truth: what an evaluation compares with, if it differs from what a model should learn: all
            objects of the file, with the file's boxes and areas in float64, nothing clipped or left
            out. None if there is no such difference; a selection of rows has none.
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
        """The objects that an evaluation compares with: `truth`, or this target if that is None."""
        return self if self.truth is None else self.truth
