"""The bounds of DeepMask's figures: windows without learning, and windows with perfect masks.

Both use the windows that the model slides over an image, so the distance between them is what
there is to learn: which windows show an object, and the object's outline.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from seglib.models.deepmask.config import DeepMaskConfig
from seglib.models.deepmask.windows import crop_windows, window_labels
from seglib.ops.mask_paste import paste_masks
from seglib.ops.masks import mask_iou, masks_to_boxes
from seglib.structures import Instances, Target


def perfect_proposals(windows: Tensor, target: Target, config: DeepMaskConfig) -> Instances:
    """Every object once, from the best of the windows that show it canonically.

    Its mask is the true one, reduced to the M x M cells of that window. An object that no window
    shows canonically, because it is too small or too large for all scales, is not found.

    Args:
        windows: [K, 4] corners in pixels, of all scales.
        target: the objects of the image; crowds are left out.
        config: contains M and the rules by which windows are canonical.
    """
    objects: Target = target[~target.iscrowd]
    windows = windows.to(objects.boxes)
    labels = window_labels(windows, objects.boxes, config.patch, config.shift)  # [K, N]
    masks, ious = [], []
    for mask, column in zip(objects.masks, labels.T, strict=True):
        canonical = windows[column > 0]  # [k, 4]
        if len(canonical) == 0:
            continue
        cells = crop_windows(mask[None].float(), canonical, config.mask_size)[:, 0]  # [k, M, M]
        rebuilt = paste_masks(cells, canonical, target.size)  # [k, H, W]
        overlap = mask_iou(rebuilt, mask[None])[:, 0]  # [k]
        masks.append(rebuilt[overlap.argmax()])
        ious.append(overlap.max())
    if not masks:
        return _proposals(objects.masks[:0], objects.boxes.new_zeros(0))
    return _proposals(torch.stack(masks), torch.stack(ious))


def mean_mask_proposals(
    windows: Tensor, mean_mask: Tensor, size: tuple[int, int], count: int, generator: Generator
) -> Instances:
    """`count` of the [K, 4] windows in random order, each with the mean training mask [M, M]."""
    order = torch.randperm(len(windows), generator=generator)[:count]
    masks = paste_masks(mean_mask.expand(len(order), -1, -1), windows[order], size)
    return _proposals(masks, torch.linspace(1, 0, len(order) + 1)[:-1])


def _proposals(masks: Tensor, scores: Tensor) -> Instances:
    labels = torch.ones(len(masks), dtype=torch.int64, device=masks.device)
    return Instances(masks_to_boxes(masks), scores.float(), labels, masks)
