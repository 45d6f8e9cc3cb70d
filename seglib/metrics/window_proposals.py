"""What DeepMask's figures stand between: windows without learning, and windows answered perfectly.

Both use the very windows that the model slides over an image, so what remains between them is
what the network has learned: which windows hold an object, and its outline.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.metrics.dataset import LabelledImages, first_samples
from seglib.metrics.proposal_recall import MaskAndBoxRecall
from seglib.models.deepmask import DeepMask
from seglib.models.deepmask.canonical import window_labels
from seglib.models.deepmask.windows import crop_windows
from seglib.ops.mask_paste import paste_masks
from seglib.ops.masks import mask_iou, masks_to_boxes
from seglib.structures import Instances, Target


def window_ceiling(
    model: DeepMask, dataset: LabelledImages, limit: int | None = None
) -> dict[str, float]:
    """Average recall of a perfect network with the model's windows and mask resolution.

    Every object is proposed once, from the best of the windows in which it lies canonically (as
    the model is taught), with its true mask seen through M x M cells. An object that lies
    canonically in no window, too small or too large for all scales, is not found.

    Args:
        model: its windows, patch rules and mask size count, not its weights.
        dataset: images with objects.
        limit: only the first images.

    Returns:
        the figures of `MaskAndBoxRecall`.
    """
    recall = MaskAndBoxRecall(dataset.categories, dataset.area_ranges)
    for _, target in first_samples(dataset, limit):
        recall.update(perfect_proposals(model, target), target)
    return recall.figures()


def perfect_proposals(model: DeepMask, target: Target) -> Instances:
    """One proposal for every object that some window holds canonically, see `window_ceiling`."""
    config, objects = model.config, target[~target.iscrowd]
    windows = _all_windows(model, target.size)
    labels = window_labels(windows, objects.boxes, config.patch, config.shift)
    masks, ious = [], []
    for mask, column in zip(objects.masks, labels.T, strict=True):
        holding = windows[column > 0]
        if len(holding) == 0:
            continue
        cells = crop_windows(mask[None].float(), holding, config.mask_size)[:, 0]
        rebuilt = paste_masks(cells, holding, target.size)
        overlap = mask_iou(rebuilt, mask[None])[:, 0]
        masks.append(rebuilt[overlap.argmax()])
        ious.append(overlap.max())
    scores = torch.stack(ious) if ious else torch.zeros(0)
    return _proposals(torch.stack(masks) if masks else objects.masks[:0], scores)


def mean_mask_baseline(
    model: DeepMask, dataset: LabelledImages, limit: int | None = None, seed: int = 0
) -> dict[str, float]:
    """Average recall of the model's windows in random order, each with the mean training mask.

    Args:
        model: its windows and `mean_mask` count.
        dataset: images with objects.
        limit: only the first images.
        seed: of the order, for each image anew.

    Returns:
        the figures of `MaskAndBoxRecall`.
    """
    recall = MaskAndBoxRecall(dataset.categories, dataset.area_ranges)
    for number, (_, target) in enumerate(first_samples(dataset, limit)):
        generator = torch.Generator().manual_seed(seed + number)
        windows = _all_windows(model, target.size)
        order = torch.randperm(len(windows), generator=generator)[: model.config.proposals]
        mean = model.mean_mask.cpu().expand(len(order), -1, -1)
        masks = paste_masks(mean, windows[order], target.size)
        scores = torch.linspace(1, 0, len(order) + 1)[:-1]
        recall.update(_proposals(masks, scores), target)
    return recall.figures()


def _all_windows(model: DeepMask, size: tuple[int, int]) -> Tensor:
    """[K, 4] corners of all scales."""
    return torch.cat([windows.flatten(0, 1) for windows in model.windows(size)])


def _proposals(masks: Tensor, scores: Tensor) -> Instances:
    labels = torch.ones(len(masks), dtype=torch.int64)
    return Instances(masks_to_boxes(masks), scores.float(), labels, masks)
