"""PolarMask's four losses (Xie et al. 2020, sections 3.3 and 3.4; FCOS, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from seglib.distributed import global_mean_count
from seglib.models.polarmask.head import HeadOutput
from seglib.models.polarmask.targets import PolarTargets
from seglib.ops.focal_loss import sigmoid_focal_loss
from seglib.ops.polar_iou import polar_iou

SMALLEST_IOU = 1e-6


def polar_centerness(rays: Tensor) -> Tensor:
    """√(min d / max d) of rays [P, n] -> [P]: 1 in the middle of a disc, 0 at its edge.

    The rays from a location with low centerness differ greatly in length and are hard to regress;
    those from the centre of mass differ least (section 3.3).
    """
    return (rays.amin(1) / rays.amax(1)).sqrt()


def polar_losses(
    output: HeadOutput, targets: PolarTargets, *, published: bool, box_loss: bool
) -> dict[str, Tensor]:
    """The named losses of a batch.

    The losses of rays and boxes are weighted by the centerness of their location.

    Args:
        output: the head's outputs.
        targets: the targets on the same device.
        published: count sides of boxes with + 1 in their IoU.
        box_loss: whether boxes are learned.

    Returns:
        scalars: "class_loss", "centerness_loss", "mask_loss", and with `box_loss` "box_loss".
    """
    images, _, classes = output.logits.shape
    positives = len(targets.location)
    onehot = F.one_hot(targets.labels, classes + 1)[..., 1:]  # [B, L, C]
    at = (targets.image, targets.location)
    centerness = polar_centerness(targets.rays)  # [P]
    weight = centerness / _total(centerness)  # [P]
    losses = {
        "class_loss": sigmoid_focal_loss(output.logits, onehot)
        / global_mean_count(positives + images),
        "centerness_loss": F.binary_cross_entropy_with_logits(
            output.centerness[at], centerness, reduction="sum"
        )
        / global_mean_count(positives),
        "mask_loss": -(polar_iou(output.rays[at], targets.rays).log() * weight).sum(),
    }
    if box_loss:
        overlap = side_iou(output.sides[at], targets.sides, 1.0 if published else 0.0)  # [P]
        losses["box_loss"] = -(overlap.clamp(min=SMALLEST_IOU).log() * weight).sum()
    return losses


def side_iou(predicted: Tensor, true: Tensor, extra: float) -> Tensor:
    """IoU [P] of boxes given by distances [P, 4] from one point inside the true box to their sides.

    Args:
        predicted: distances in pixels, above 0.
        true: distances in pixels, above 0.
        extra: pixels added to every width and height.
    """
    shared = torch.minimum(predicted, true)  # [P, 4], since both boxes contain the point
    areas = [
        (sides[:, :2] + sides[:, 2:] + extra).prod(1) for sides in (shared, predicted, true)
    ]  # [P] each
    return areas[0] / (areas[1] + areas[2] - areas[0])


def _total(centerness: Tensor) -> Tensor:
    """The mean over processes of the summed centerness, never 0."""
    return global_mean_count(centerness.sum() / SMALLEST_IOU) * SMALLEST_IOU
