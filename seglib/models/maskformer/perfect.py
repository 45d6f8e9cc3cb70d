"""The prediction of a perfect set of segments: the truth on the grid of the mask logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seglib.models.detr.panoptic import panoptic_from_shares, segment_shares
from seglib.models.maskformer.segments import with_stuff
from seglib.models.targets import SizedTarget, semantic_labels
from seglib.ops.masks import masks_to_boxes
from seglib.structures import Categories, Instances, Prediction, Target


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
        target: a target with a label map.
        categories: tell things from stuff.
        resize: the model's, for float [C, H, W].
        stride: stride of the mask logits in pixels of the resized image.
    """
    size = (image.shape[-2], image.shape[-1])
    semantic = semantic_labels([image], [target], [size], size, len(categories))[0]  # [H, W]
    objects = target[~target.iscrowd]
    segments = with_stuff(
        SizedTarget(objects.boxes, objects.labels, objects.masks), semantic, categories
    )
    labels = segments.labels  # [S]
    shares = segment_shares(segments.masks, resize, stride)  # [S, H, W]
    masks = shares[: len(objects)] >= 0.5
    found = Instances(masks_to_boxes(masks), torch.ones_like(objects.area), objects.labels, masks)
    panoptic = panoptic_from_shares(shares, labels)
    label_of = torch.cat([labels.new_zeros(1), labels])  # [1 + S], by segment id
    semantic = label_of[panoptic.segment_map]  # [H, W]
    return Prediction(size, categories, found, semantic=semantic, panoptic=panoptic)
