"""Turn one set of segments into a label map, a panoptic map and instances.

The inputs are class logits [Q, K], with class 0 for "no object", and mask logits [Q, H, W] at the
image's own size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.ops.masks import masks_to_boxes
from seglib.structures import Categories, Instances, Panoptic

EPSILON = 1e-6


def semantic_scores(logits: Tensor, masks: Tensor) -> Tensor:
    """Sum the queries' class probabilities inside their masks (MaskFormer, section 3.4).

    Args:
        logits: [Q, K].
        masks: [Q, H, W] logits.

    Returns:
        [C, H, W], C = K − 1: the sum over queries of class probability times mask probability.
    """
    return torch.einsum("qc,qhw->chw", logits.softmax(dim=-1)[:, 1:], masks.sigmoid())


def semantic_map(logits: Tensor, masks: Tensor, categories: Categories) -> Tensor:
    """The best class of each pixel, int64 [H, W].

    If all classes are things, pixels whose best score is below one half are background. With stuff,
    every pixel has a class, as published.
    """
    scores, classes = semantic_scores(logits, masks).max(dim=0)  # [H, W] each
    labels = classes + 1
    return labels if categories.stuff else labels.where(scores >= 0.5, 0)


def panoptic_map(
    logits: Tensor,
    masks: Tensor,
    categories: Categories,
    segment_threshold: float,
    overlap_threshold: float,
    *,
    inside_only: bool,
) -> Panoptic:
    """Segments without overlap: each pixel is assigned to the query with the highest probability.

    Args:
        logits: [Q, K].
        masks: [Q, H, W] logits.
        categories: tell things from stuff; segments of one kind of stuff are merged.
        segment_threshold: class probability that a query must exceed.
        overlap_threshold: smallest share of its own mask (pixels with probability 0.5 or more)
            that a query must keep; one that is mostly covered by better queries is a duplicate.
        inside_only: give a segment only pixels inside its own mask (Mask2Former).

    Returns:
        segments with ids from 1.
    """
    scores, labels = logits.softmax(dim=-1).max(dim=-1)  # [Q] each
    kept = (labels > 0) & (scores > segment_threshold)
    probabilities, labels = masks[kept].sigmoid(), labels[kept]  # [S, H, W], [S]
    segment_map = torch.zeros(masks.shape[-2:], dtype=torch.int64, device=masks.device)
    ids_of: dict[int, int] = {}  # label → id, for merging stuff
    found: list[int] = []
    if len(labels):
        best = (scores[kept][:, None, None] * probabilities).argmax(dim=0)  # [H, W]
        for query, label in enumerate(labels.tolist()):
            claimed, own_mask = best == query, probabilities[query] >= 0.5
            painted = claimed & own_mask if inside_only else claimed
            area, share = int(own_mask.sum()), float(claimed.sum()) / max(int(own_mask.sum()), 1)
            if not area or not painted.any() or share < overlap_threshold:
                continue
            if not categories.by_label(label).is_thing and label in ids_of:
                segment_map[painted] = ids_of[label]
                continue
            found.append(label)
            ids_of[label] = len(found)
            segment_map[painted] = len(found)
    labels_found = torch.tensor(found, dtype=torch.int64, device=masks.device)
    ids = torch.arange(1, len(found) + 1, device=masks.device)
    return Panoptic(segment_map, ids, labels_found, torch.zeros_like(ids, dtype=torch.bool))


def instances(logits: Tensor, masks: Tensor, categories: Categories, most: int) -> Instances:
    """The things among the best pairs of query and class (Mask2Former's code).

    A query may occur with several classes. A pair's score is the probability of the class times the
    mean probability inside the query's mask.

    Args:
        logits: [Q, K].
        masks: [Q, H, W] logits.
        categories: tell things from stuff.
        most: largest number of pairs, before stuff is left out.

    Returns:
        instances with boxes around their masks, best first.
    """
    probabilities = logits.softmax(dim=-1)[:, 1:]  # [Q, C]
    classes = probabilities.shape[1]
    scores, pairs = probabilities.flatten().topk(min(most, probabilities.numel()))  # [N] each
    things = torch.tensor([category.is_thing for category in categories], device=masks.device)
    is_thing = things[pairs % classes]
    scores, pairs = scores[is_thing], pairs[is_thing]
    chosen, row = (pairs // classes).unique(return_inverse=True)  # [R], [N]: each mask once
    inside = masks[chosen] > 0  # [R, H, W]
    sure = (masks[chosen].sigmoid() * inside).flatten(1).sum(1)
    sure = sure / (inside.flatten(1).sum(1) + EPSILON)  # [R]
    scores = scores * sure[row]
    order = scores.argsort(descending=True, stable=True)
    row, labels = row[order], (pairs % classes + 1)[order]
    return Instances(masks_to_boxes(inside)[row], scores[order], labels, inside[row])
