"""The score of a perfect network: what the form of an output loses before anything is learned.

A network that answers on a grid of stride 8 cannot draw an outline finer than that, however
well it is trained. The ceilings here put the truth itself through the form (down to the grid
and back up) and score the result, so that a model's figure can be read beside what its form
allows. State the data set, the number of images and the input size with every such figure.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.metrics.coco_evaluator import CocoEvaluator
from seglib.metrics.dataset import LabelledImages, first_samples, true_labels
from seglib.metrics.mean_iou import SemanticEvaluator
from seglib.ops.output_forms import labels_at_stride, masks_at_stride, masks_in_rois
from seglib.structures import Instances, Target

__all__ = [
    "labels_at_stride",
    "mask_ceiling",
    "masks_at_stride",
    "masks_in_rois",
    "semantic_ceiling",
]

# Rebuilds the true masks of an image, bool [N, H, W], as a perfect network of some form would
# draw them: a model with its own form (rays, prototypes) passes its own function.
Rebuild = Callable[[Target], Tensor]


def semantic_ceiling(dataset: LabelledImages, stride: int, limit: int | None = None) -> float:
    """The mean IoU of a perfect network whose logits have one value for stride x stride pixels.

    Args:
        dataset: its size decides: the same stride costs more on smaller images.
        stride: in pixels of the data set's images.
        limit: only the first images.

    Returns:
        in 0…1.

    Raises:
        SeglibError: no image, a target without label map, or a stride below 1.
    """
    evaluator = SemanticEvaluator(dataset.categories)
    for _, target in first_samples(dataset, limit):
        truth = true_labels(target, dataset.name)
        evaluator.update(labels_at_stride(truth, stride), truth)
    return evaluator.compute().mean_iou


def mask_ceiling(
    dataset: LabelledImages,
    *,
    stride: int | None = None,
    roi_size: int | None = None,
    rebuild: Rebuild | None = None,
    limit: int | None = None,
    figure: str = "AP",
) -> float:
    """The mask AP of a perfect detector whose masks have a given form; name exactly one form.

    Args:
        dataset: its size decides: the same stride costs more on smaller images.
        stride: soft masks on a grid of this stride over the image (prototypes, mask features).
        roi_size: soft masks of roi_size x roi_size cells over each object's box (R-CNN heads).
        rebuild: any other form, see `Rebuild`.
        limit: only the first images.
        figure: one of the twelve COCO figures, such as "APs" for small objects.

    Returns:
        in 0…1; -1 when there is no object.

    Raises:
        SeglibError: no image, not exactly one form, or an unknown figure.
    """
    form = _form(stride, roi_size, rebuild)
    evaluator = CocoEvaluator(dataset.categories, "segm", dataset.area_ranges)
    for _, target in first_samples(dataset, limit):
        objects = target[~target.iscrowd]
        scores = torch.ones(len(objects))
        found = Instances(objects.boxes, scores, objects.labels, form(objects))
        evaluator.update(found, target)
    stats = evaluator.compute().stats
    if figure not in stats:
        raise SeglibError(f"no figure is called {figure!r}: choose one of {', '.join(stats)}")
    return stats[figure]


def _form(stride: int | None, roi_size: int | None, rebuild: Rebuild | None) -> Rebuild:
    if sum(choice is not None for choice in (stride, roi_size, rebuild)) != 1:
        raise SeglibError("mask_ceiling needs exactly one of stride, roi_size and rebuild")
    if stride is not None:
        return lambda target: masks_at_stride(target.masks, stride)
    if roi_size is not None:
        return lambda target: masks_in_rois(target.masks, roi_size)
    assert rebuild is not None
    return rebuild
