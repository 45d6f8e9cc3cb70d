"""Matching detections to true objects: the first half of average precision and recall.

"Matching" is COCO's word for it. A detection that is matched to an object is a true positive;
average_precision.py contains the second half. For the assignment of boxes to objects in training
see seglib/ops/assignment.py, and for DETR's bipartite matching seglib/models/detr/matching.py.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import box_area, box_iou
from seglib.ops.masks import mask_iou
from seglib.structures import Instances, Target

IouType = Literal["segm", "bbox"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)

# The masks of 1000 proposals in a photograph would fill a gigabyte if compared at once.
_ROWS_AT_ONCE = 100


def image_overlaps(prediction: Instances, target: Target, iou_type: IouType) -> Floats:
    """The overlap of every detection with every true object of one image.

    It is the IoU, except with a crowd: there, the intersection is divided by the detection's own
    area, because one person in a crowd is a correct detection although it covers little of it.

    Args:
        prediction: D detections.
        target: G true objects.
        iou_type: "segm" compares masks, "bbox" boxes.

    Returns:
        float64 [D, G] in 0…1.

    Raises:
        SeglibError: the masks to be compared are missing or do not have the image's size.
    """
    if iou_type == "bbox":
        return _box_overlaps(prediction.boxes.double(), target.boxes.double(), target.iscrowd)
    if prediction.masks is None:
        raise SeglibError("mask AP needs Instances.masks, got None: use iou_type='bbox'")
    if prediction.masks.shape[1:] != target.masks.shape[1:]:
        raise SeglibError(
            f"image {target.image_id}: predicted masks have {list(prediction.masks.shape[1:])} "
            f"pixels, true masks {list(target.masks.shape[1:])}: predict at the original size"
        )
    rows = [
        mask_iou(masks, target.masks, target.iscrowd).double()
        for masks in prediction.masks.split(_ROWS_AT_ONCE)
    ]
    return to_numpy(torch.cat(rows)) if rows else np.zeros((0, len(target)))


def _box_overlaps(detected: Tensor, true: Tensor, iscrowd: Tensor) -> Floats:
    overlaps = box_iou(detected, true).double()  # one swapped in may return float32
    if iscrowd.any():
        crowds = true[iscrowd]
        low = torch.maximum(detected[:, None, :2], crowds[:, :2])  # [D, crowds, 2]
        high = torch.minimum(detected[:, None, 2:], crowds[:, 2:])
        intersection = (high - low).clamp(min=0).prod(dim=-1)
        overlaps[:, iscrowd] = intersection / box_area(detected)[:, None]
    return np.nan_to_num(to_numpy(overlaps))  # 0/0: boxes without an area overlap nothing


def match_detections(
    overlaps: Floats, ignored: Bools, iscrowd: Bools, thresholds: Floats = IOU_THRESHOLDS
) -> Ints:
    """Match each detection, best score first, to the free true object that it overlaps most.

    Objects that count are preferred to ignored ones, however little they overlap. A crowd can be
    matched several times. Of two objects with the same overlap, the later one is matched.

    Args:
        overlaps: [D, G], rows in falling order of score.
        ignored: [A, G], objects that count neither as found nor as missed, for each of A
            independent matchings (COCO does one for each range of object sizes).
        iscrowd: [G].
        thresholds: [T], smallest overlaps of a match, in 0…1.

    Returns:
        int64 [A, T, D], the index of the matched object, or -1.
    """
    matches = np.full((len(ignored), len(thresholds), len(overlaps)), -1)
    used = np.zeros((len(ignored), len(thresholds), overlaps.shape[1]), dtype=bool)
    lowest = thresholds.min()
    for d in np.flatnonzero((overlaps >= lowest).any(axis=1)):
        reachable = np.flatnonzero(overlaps[d] >= lowest)  # few; the others cannot match
        overlap = overlaps[d, reachable]
        possible = (overlap >= thresholds[:, None]) & ~used[..., reachable]  # [A, T, reachable]
        counting = possible & ~ignored[:, None, reachable]
        possible = np.where(counting.any(axis=-1, keepdims=True), counting, possible)
        last_first = np.where(possible, overlap, -1.0)[..., ::-1]
        best = reachable[len(reachable) - 1 - last_first.argmax(axis=-1)]  # [A, T]
        best = np.where(possible.any(axis=-1), best, -1)
        matches[..., d] = best
        matching, threshold = np.nonzero(best >= 0)
        taken = best[matching, threshold]
        used[matching, threshold, taken] = ~iscrowd[taken]
    return matches


def to_numpy(tensor: Tensor) -> Any:
    """A tensor's values as an array, floats as float64."""
    values = tensor.detach().cpu()
    return values.double().numpy() if values.is_floating_point() else values.numpy()
