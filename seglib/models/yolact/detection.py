"""From scored anchors to detections (YOLACT, sections 4.2 and 5)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seglib.models.yolact.config import YOLACTConfig
from seglib.ops.detections import Detections

Suppress = Callable[[Tensor, Tensor, float], Tensor]


def select_per_class(
    boxes: Tensor, scores: Tensor, suppress: Suppress, config: YOLACTConfig
) -> Detections:
    """Suppress within each class, and keep the best of all classes.

    Args:
        boxes: [N, 4] corners.
        scores: [N, C] class probabilities without the background's column.
        suppress: `ops.fast_nms` or `ops.nms`.
        config: contains the thresholds and counts.
    """
    candidates = _candidates(scores, config)  # [M]
    threshold = -1 if config.reference.every_class else config.score_threshold
    eligible = scores[candidates] > threshold  # [M, C]
    rows, classes = [candidates[:0]], [candidates[:0]]  # torch.cat needs at least one tensor
    for label in eligible.any(dim=0).nonzero().flatten().tolist():
        class_candidates = candidates[eligible[:, label]]  # [m]
        kept = _suppressed(class_candidates, boxes, scores[:, label], suppress, config)  # [K]
        rows.append(kept)
        classes.append(torch.full_like(kept, label))
    return _best(boxes, scores, torch.cat(rows), torch.cat(classes), config.max_detections)


def select_across_classes(
    boxes: Tensor, scores: Tensor, suppress: Suppress, config: YOLACTConfig
) -> Detections:
    """The official variant in which an anchor has one class and all anchors compete.

    Arguments as for `select_per_class`; `config.per_class` anchors enter suppression.
    """
    best_scores, labels = scores.max(dim=1)  # [N] each
    kept = _suppressed(_candidates(scores, config), boxes, best_scores, suppress, config)  # [K]
    return _best(boxes, scores, kept, labels[kept], config.max_detections)


def _candidates(scores: Tensor, config: YOLACTConfig) -> Tensor:
    """int64 [M]: the anchors with at least one class score above the threshold."""
    return (scores.amax(dim=1) > config.score_threshold).nonzero().squeeze(1)


def _suppressed(
    candidates: Tensor, boxes: Tensor, scores: Tensor, suppress: Suppress, config: YOLACTConfig
) -> Tensor:
    """The anchors [K] among candidates [M] that survive suppression.

    Boxes [N, 4] and scores [N] are those of all anchors.
    """
    order = scores[candidates].argsort(descending=True, stable=True)  # [M]
    best = candidates[order[: config.per_class]]  # [n]
    return best[suppress(boxes[best], scores[best], config.nms_iou)]


def _best(boxes: Tensor, scores: Tensor, rows: Tensor, classes: Tensor, count: int) -> Detections:
    """The `count` best of these (row, class) pairs as detections, best first."""
    pair_scores = scores[rows, classes]  # one score per pair
    order = pair_scores.argsort(descending=True, stable=True)[:count]  # [K]
    rows, classes = rows[order], classes[order]
    return Detections(boxes[rows], pair_scores[order], classes, rows)
