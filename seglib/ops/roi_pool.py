"""RoIPool: the largest value in every bin of a box whose borders are rounded to whole cells.

Fast R-CNN (Girshick 2015, section 2.1). The rounding shifts a box's features by up to half a cell,
which is many pixels of the image; RoIAlign avoids it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.ops.roi_sampling import check_rois
from seglib.ops.windows import IntPair
from seglib.primitives import primitive


def _naive_roi_pool(
    features: Tensor, rois: Tensor, output_size: IntPair, spatial_scale: float = 1.0
) -> Tensor:
    """One bin at a time."""
    height, width = check_rois("roi_pool", features, rois, output_size)
    top, bottom, left, right = (
        border.tolist() for border in _borders(features, rois, (height, width), spatial_scale)
    )
    pooled = []
    for n, image in enumerate(rois[:, 0].long().tolist()):
        for p in range(height):
            for q in range(width):
                cells = features[image, :, top[n][p] : bottom[n][p], left[n][q] : right[n][q]]
                cells = cells.flatten(1)  # [C, cells of the bin]
                # Max over a dimension: among equal values only the first gets the gradient.
                pooled.append(
                    cells.max(dim=1).values if cells.shape[1] else features[image, :, 0, 0] * 0
                )
    shape = (len(rois), height, width, features.shape[1])
    if not pooled:
        return (features.sum() * 0).expand(shape).permute(0, 3, 1, 2)
    return torch.stack(pooled).reshape(shape).permute(0, 3, 1, 2)


def _scratch_roi_pool(
    features: Tensor, rois: Tensor, output_size: IntPair, spatial_scale: float = 1.0
) -> Tensor:
    """All boxes of an image at once: the largest value in each bin's columns, then in its rows."""
    bins = check_rois("roi_pool", features, rois, output_size)
    if len(rois) == 0:
        return (features.sum() * 0).expand(0, features.shape[1], *bins)
    borders = _borders(features, rois, bins, spatial_scale)
    top, bottom, left, right = (border[:, :, None] for border in borders)  # [N, bins, 1] each
    row = torch.arange(features.shape[2], device=rois.device)  # [H]
    column = torch.arange(features.shape[3], device=rois.device)  # [W]
    in_row = (row >= top) & (row < bottom)  # [N, P, H]
    in_column = (column >= left) & (column < right)  # [N, Q, W]
    pooled, origin = [], []
    for image, plane in enumerate(features):  # [C, H, W]
        in_image = (rois[:, 0].long() == image).nonzero().squeeze(1)  # [n]
        # Columns first: of equal values, the first in reading order is kept, as in the loops.
        strips = [
            plane.where(inside[:, None, None, :], float("-inf")).max(dim=3).values  # [n, C, H]
            for inside in in_column[in_image].unbind(1)
        ]
        strip = torch.stack(strips, dim=3)  # [n, C, H, Q]
        cells = [
            strip.where(inside[:, None, :, None], float("-inf")).max(dim=2).values  # [n, C, Q]
            for inside in in_row[in_image].unbind(1)
        ]
        pooled.append(torch.stack(cells, dim=2))  # [n, C, P, Q]
        origin.append(in_image)
    values = torch.cat(pooled)[torch.cat(origin).argsort()]  # [N, C, P, Q]
    return values.where(values > float("-inf"), 0)


@primitive(naive=_naive_roi_pool, scratch=_scratch_roi_pool)
def roi_pool(
    features: Tensor, rois: Tensor, output_size: IntPair, spatial_scale: float = 1.0
) -> Tensor:
    """Keep the largest value in every bin of every box, borders rounded to whole cells.

    First the box is rounded to cells, its last cell included; then the bins are rounded outwards,
    so that neighbours may share a row or a column. No gradient flows into the boxes.

    Args:
        features: [B, C, H, W].
        rois: [N, 5] rows of (index of the image in the batch, x0, y0, x1, y1), boxes in pixels.
        output_size: bins (vertical, horizontal), or one number for both: (P, Q).
        spatial_scale: feature cells per pixel, 1/stride.

    Returns:
        [N, C, P, Q], in memory format channels_last; 0 in bins outside the map. Among equal values,
        the first in reading order gets the gradient.

    Raises:
        SeglibError: features are not float [B, C, H, W], rois not [N, 5] or not finite, an image
            index outside the batch, or no bins.
    """
    bins = check_rois("roi_pool", features, rois, output_size)
    top, bottom, left, right = _borders(features, rois, bins, spatial_scale)
    y, in_row = _cells(top, bottom)  # [N, P, Y]
    x, in_column = _cells(left, right)  # [N, Q, X]
    height, width = features.shape[2:]
    y = (y + rois[:, 0].long()[:, None, None] * height) * width  # the row's first cell
    inside = in_row[:, :, None, :, None] & in_column[:, None, :, None, :]  # [N, P, Q, Y, X]
    cell = (y[:, :, None, :, None] + x[:, None, :, None, :])[inside]  # [T]
    count = inside.flatten(3).sum(3).flatten()  # [N·P·Q]
    table = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]).contiguous()  # [B·H·W, C]
    # Reads whole rows of C channels, several times faster than gathering single numbers.
    pooled = F.embedding_bag(cell, table, count.cumsum(0) - count, mode="max")  # [N·P·Q, C]
    return pooled.reshape(len(rois), *bins, features.shape[1]).permute(0, 3, 1, 2)  # [N, C, P, Q]


def _cells(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The cells from `start` to `end`, int64 [N, bins], padded to the longest bin's length K.

    Returns:
        int64 [N, bins, K] cells, and bool [N, bins, K]: whether the cell belongs to the bin.
    """
    longest = max(int((end - start).amax()), 1) if start.numel() else 1
    cells = start[:, :, None] + torch.arange(longest, device=start.device)
    return cells, cells < end[:, :, None]


def _borders(
    features: Tensor, rois: Tensor, bins: tuple[int, int], spatial_scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """First cell and end of every bin: top and bottom int64 [N, P], left and right [N, Q]."""
    rois = rois.detach() if rois.dtype == torch.float64 else rois.detach().float()
    scaled = rois[:, 1:] * spatial_scale
    left, top, right, bottom = (scaled.sign() * (scaled.abs() + 0.5).floor()).unbind(1)
    edges = []
    for first, last, count, cells in (
        (top, bottom, bins[0], features.shape[2]),
        (left, right, bins[1], features.shape[3]),
    ):
        step = (last - first + 1).clamp(min=1)[:, None] / count  # [N, 1] cells per bin
        index = torch.arange(count, device=rois.device)  # [bins]
        for edge in ((index * step).floor(), ((index + 1) * step).ceil()):
            edges.append((edge + first[:, None]).clamp(0, cells).long())
    return edges[0], edges[1], edges[2], edges[3]
