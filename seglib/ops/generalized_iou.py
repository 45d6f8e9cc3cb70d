"""Generalized IoU (Rezatofighi et al., CVPR 2019), which also ranks boxes that do not touch."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.primitives import primitive


def _naive_generalized_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """One pair at a time."""
    _check(a, b)
    if a.ndim > 2:
        return torch.stack(
            [_naive_generalized_box_iou(one, other) for one, other in zip(a, b, strict=True)]
        )
    values = []
    for x0, y0, x1, y1 in a:
        for u0, v0, u1, v1 in b:
            width = (torch.minimum(x1, u1) - torch.maximum(x0, u0)).clamp(min=0)
            height = (torch.minimum(y1, v1) - torch.maximum(y0, v0)).clamp(min=0)
            shared = width * height
            union = _naive_area(x0, y0, x1, y1) + _naive_area(u0, v0, u1, v1) - shared
            left, top = torch.minimum(x0, u0), torch.minimum(y0, v0)
            right, bottom = torch.maximum(x1, u1), torch.maximum(y1, v1)
            hull = _naive_area(left, top, right, bottom)
            iou = shared / union if union > 0 else union * 0
            values.append(iou - ((hull - union) / hull if hull > 0 else hull * 0))
    return torch.stack(values).reshape(len(a), len(b)) if values else a.new_zeros(len(a), len(b))


def _naive_area(x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor) -> Tensor:
    return (x1 - x0).clamp(min=0) * (y1 - y0).clamp(min=0)


@primitive(naive=_naive_generalized_box_iou)
def generalized_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU minus the share of the smallest enclosing box that neither of the two boxes covers.

    The IoU of boxes that do not touch is 0 however far apart they are, and has no gradient. The
    generalized IoU falls towards −1 with their distance.

    Args:
        a: [..., N, 4] corners, float.
        b: [..., M, 4] corners, with the same leading dimensions.

    Returns:
        [..., N, M] in −1…1; 0 for two equal boxes without area.

    Raises:
        SeglibError: the boxes have other shapes.
    """
    _check(a, b)
    a, b = a[..., :, None, :], b[..., None, :, :]  # [..., N, 1, 4], [..., 1, M, 4]
    inner = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    outer = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    shared, hull = (sides.clamp(min=0).prod(dim=-1) for sides in (inner, outer))  # [..., N, M]
    area_a, area_b = ((x[..., 2:] - x[..., :2]).clamp(min=0).prod(dim=-1) for x in (a, b))
    union = area_a + area_b - shared  # [..., N, M]
    return shared / union.where(union > 0, 1) - (hull - union) / hull.where(hull > 0, 1)


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim < 2 or a.shape[-1] != 4 or b.shape[-1] != 4 or a.shape[:-2] != b.shape[:-2]:
        raise SeglibError(
            f"generalized_box_iou needs corners [..., N, 4] and [..., M, 4] with equal leading "
            f"dimensions, got {list(a.shape)} and {list(b.shape)}"
        )
