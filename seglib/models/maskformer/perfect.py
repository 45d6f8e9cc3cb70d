"""What a perfect set of segments predicts: the truth on the grid of the mask logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seglib.models.maskformer.segments import with_stuff
from seglib.models.targets import SizedTarget, semantic_labels
from seglib.ops.masks import masks_to_boxes
from seglib.ops.output_forms import masks_at_stride_softly
from seglib.ops.upsampling import interpolate
from seglib.structures import Categories, Instances, Panoptic, Prediction, Target


def perfect_prediction(
    image: Tensor,
    target: Target,
    categories: Categories,
    resize: Callable[[Tensor], Tensor],
    stride: int,
) -> Prediction:
    """All three tasks from the true segments.

    Args:
        image: float [3, H, W].
        target: with a label map.
        categories: tell things from stuff.
        resize: from float [C, H, W] to what the network sees.
        stride: of the mask logits, in pixels of what the network sees.
    """
    size = (image.shape[-2], image.shape[-1])
    semantic = semantic_labels([image], [target], [size], size, len(categories))[0]  # [H, W]
    objects = target[~target.iscrowd]
    segments = with_stuff(
        SizedTarget(objects.boxes, objects.labels, objects.masks), semantic, categories
    )
    shares, labels = _shares(segments.masks, resize, stride), segments.labels  # [S, H, W], [S]
    masks = shares[: len(objects)] >= 0.5
    found = Instances(masks_to_boxes(masks), torch.ones_like(objects.area), objects.labels, masks)
    # A place that no segment covers to one half has none.
    nothing = shares.new_full((1, *size), 0.5)
    best = torch.cat([nothing, shares]).argmax(dim=0)  # [H, W], 0 where no segment is
    ids = torch.arange(1, len(labels) + 1, device=labels.device)
    here = (best == ids[:, None, None]).flatten(1).any(1)  # [S]
    panoptic = Panoptic(best, ids[here], labels[here], torch.zeros_like(here[here]))
    map_of = torch.cat([labels.new_zeros(1), labels])  # from 0…S to labels
    return Prediction(size, categories, found, semantic=map_of[best], panoptic=panoptic)


def _shares(masks: Tensor, resize: Callable[[Tensor], Tensor], stride: int) -> Tensor:
    """Each segment's share of the cells, back at the image's size: [S, H, W] in 0…1."""
    if len(masks) == 0:
        return masks.float()
    shares = masks_at_stride_softly(resize(masks.float()), stride)  # [S, h, w]
    size = (masks.shape[-2], masks.shape[-1])
    return shares if shares.shape == masks.shape else interpolate(shares[None], size)[0]
