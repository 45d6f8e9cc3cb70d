"""The score of a perfect network: how much the form of an output loses before training.

A network with outputs of stride 8 cannot represent an outline more finely than that, however well
it is trained. Here the truth is converted to a model's output form, or to a given form, and scored,
so that a model's figure can be compared with what its form allows. State the data set, the number
of images and the input size with every such figure. It is not a strict bound: on a few images, a
network may exceed it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import torch
from torch import Generator, Tensor

from seglib.errors import SeglibError
from seglib.metrics.dataset import LabelledImages, true_labels
from seglib.metrics.evaluate import Predictor, Progress, score
from seglib.metrics.report import Metrics
from seglib.models.base import Segmenter
from seglib.ops.output_forms import labels_at_stride, masks_at_stride, masks_in_rois
from seglib.structures import BACKGROUND, IGNORE, Instances, Prediction, Target

__all__ = [
    "labels_at_stride",
    "mask_ceiling",
    "model_baseline",
    "model_ceiling",
    "semantic_ceiling",
]

# From a target to its masks, bool [N, H, W], as a perfect network of some form would predict them.
Rebuild = Callable[[Target], Tensor]


def model_ceiling(
    model: Segmenter,
    dataset: LabelledImages,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """The figures that `evaluate` would give for a perfect network of the model's output form.

    Args:
        model: only its output form matters, not its weights; see `Segmenter.perfect`.
        dataset: images with targets; the same form loses more on smaller images.
        limit: use only the first `limit` images; None uses all.
        progress: as for `evaluate`.

    Raises:
        SeglibError: as `evaluate` does.
    """

    def predict(images: list[Tensor], targets: list[Target]) -> list[Prediction]:
        known = [_in_model_labels(target, model, dataset) for target in targets]
        return [model.perfect(image, target) for image, target in zip(images, known, strict=True)]

    predictor = Predictor(model.name, model.tasks, model.categories, predict)
    return score(predictor, dataset, limit, progress)


def model_baseline(
    model: Segmenter,
    dataset: LabelledImages,
    limit: int | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Metrics | None:
    """The figures of predictions made without looking at the images; None if the form has none.

    Args:
        model: see `Segmenter.baseline`.
        dataset: as for `evaluate`.
        limit: use only the first `limit` images; None uses all.
        progress: as for `evaluate`.
        seed: image i gets a generator with seed + i.
    """
    if not model.output_form.baseline:
        return None
    seeds = count(seed)

    def predict(images: list[Tensor], _: list[Target]) -> list[Prediction]:
        return [model.baseline(image, Generator().manual_seed(next(seeds))) for image in images]

    predictor = Predictor(model.name, model.tasks, model.categories, predict)
    return score(predictor, dataset, limit, progress)


def _in_model_labels(target: Target, model: Segmenter, dataset: LabelledImages) -> Target:
    """The target with the model's labels, without objects of classes that the model does not have.

    Pixels of such classes are ignored. Proposals have no classes and need no labels.
    """
    if model.categories == dataset.categories or set(model.tasks) == {"proposals"}:
        return target
    table = torch.zeros(max(len(dataset.categories), IGNORE) + 1, dtype=torch.int64)
    for label, model_label in dataset.categories.shared_with(model.categories).items():
        table[label] = model_label
    labels, semantic = table.to(target.labels.device)[target.labels], target.semantic
    if semantic is not None:
        relabelled = table.to(semantic.device)[semantic]
        semantic = torch.where((relabelled == 0) & (semantic != BACKGROUND), IGNORE, relabelled)
    return replace(target, labels=labels, semantic=semantic)[labels > 0]


def semantic_ceiling(dataset: LabelledImages, stride: int, limit: int | None = None) -> float:
    """The mean IoU of a perfect network whose logits have one value per stride x stride pixels.

    Args:
        dataset: images with targets; the same stride costs more on smaller images.
        stride: side of a cell, in pixels of the data set's images.
        limit: use only the first `limit` images; None uses all.

    Returns:
        the mean IoU in 0…1.

    Raises:
        SeglibError: no image, a target without a label map, or a stride below 1.
    """

    def predict(_: list[Tensor], targets: list[Target]) -> list[Prediction]:
        maps = [labels_at_stride(true_labels(t, dataset.name), stride) for t in targets]
        return [
            Prediction(target.size, dataset.categories, semantic=labels)
            for target, labels in zip(targets, maps, strict=True)
        ]

    perfect = Predictor("perfect", ("semantic",), dataset.categories, predict)
    return score(perfect, dataset, limit).figures["mean_iou"]


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
        dataset: images with targets; the same form costs more on smaller images.
        stride: soft masks on a grid of this stride over the image (prototypes, mask features).
        roi_size: soft masks of roi_size x roi_size cells over each object's box (R-CNN heads).
        rebuild: any other form, see `Rebuild`.
        limit: use only the first `limit` images; None uses all.
        figure: one of the twelve COCO figures, such as "APs" for small objects.

    Returns:
        the figure in 0…1; nan if there is no object.

    Raises:
        SeglibError: no image, not exactly one form, or an unknown figure.
    """
    form = _form(stride, roi_size, rebuild)

    def predict(_: list[Tensor], targets: list[Target]) -> list[Prediction]:
        return [_perfect_objects(target, form, dataset) for target in targets]

    perfect = Predictor("perfect", ("instances",), dataset.categories, predict)
    figures = score(perfect, dataset, limit).figures
    masks = {k.removeprefix("mask_"): v for k, v in figures.items() if k.startswith("mask_")}
    if figure not in masks:
        raise SeglibError(f"no figure is called {figure!r}: choose one of {', '.join(masks)}")
    return masks[figure]


def _form(stride: int | None, roi_size: int | None, rebuild: Rebuild | None) -> Rebuild:
    if sum(choice is not None for choice in (stride, roi_size, rebuild)) != 1:
        raise SeglibError("mask_ceiling needs exactly one of stride, roi_size and rebuild")
    if stride is not None:
        return lambda target: masks_at_stride(target.masks, stride)
    if roi_size is not None:
        return lambda target: masks_in_rois(target.masks, roi_size)
    assert rebuild is not None
    return rebuild


def _perfect_objects(target: Target, form: Rebuild, dataset: LabelledImages) -> Prediction:
    objects: Target = target[~target.iscrowd]
    found = Instances(objects.boxes, torch.ones(len(objects)), objects.labels, form(objects))
    return Prediction(target.size, dataset.categories, instances=found)
