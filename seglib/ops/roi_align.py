"""RoIAlign: read a feature map inside boxes of any size and position, as a grid of fixed size.

Mask R-CNN (He et al. 2017, section 3). A box is divided into bins; each bin averages a few bilinear
samples, and no coordinate is ever rounded.

A cell's weight in a bilinear sample is the product of a weight for its row and one for its column.
The same is true of the mean over a grid of samples. A box therefore needs only two small matrices,
one that mixes rows and one that mixes columns:

    out[n] = rows[n] · F · columns[n]ᵀ        [P, Q] = [P, H] · [H, W] · [W, Q], channel by channel
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.ops.roi_sampling import axis_matrices, bin_taps, boxes_in_cells, check_rois
from seglib.ops.windows import IntPair
from seglib.primitives import primitive

# With fewer channels than this, gathering rows of channels is not worthwhile.
FEW_CHANNELS = 4


def _naive_roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: IntPair,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """One bin at a time, one sample at a time."""
    height, width = check_rois("roi_align", features, rois, output_size, sampling_ratio)
    pooled = []
    for image, left, top, right, bottom in boxes_in_cells(rois, spatial_scale, aligned).tolist():
        step_y, step_x = (bottom - top) / height, (right - left) / width
        count_y = sampling_ratio or math.ceil(step_y)
        count_x = sampling_ratio or math.ceil(step_x)
        for row in range(height):
            for column in range(width):
                total = features.new_zeros(features.shape[1])  # [C]
                for i in range(count_y):
                    y = top + row * step_y + (i + 0.5) * step_y / count_y
                    for j in range(count_x):
                        x = left + column * step_x + (j + 0.5) * step_x / count_x
                        total = total + _bilinear(features[int(image)], y, x)
                pooled.append(total / max(count_y * count_x, 1))  # [C]
    shape = (len(rois), height, width, features.shape[1])
    if not pooled:
        return (features.sum() * 0).expand(shape).permute(0, 3, 1, 2)
    return torch.stack(pooled).reshape(shape).permute(0, 3, 1, 2)


def _bilinear(plane: Tensor, y: float, x: float) -> Tensor:
    """Value [C] of a map [C, H, W] between its cells; 0 if more than a cell outside of it."""
    height, width = plane.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return plane[:, 0, 0] * 0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = plane[:, top, left] * (1 - across) + plane[:, top, right] * across
    lower = plane[:, bottom, left] * (1 - across) + plane[:, bottom, right] * across
    return upper * (1 - down) + lower * down


def _scratch_roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: IntPair,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """Two matrix products per box: mix the rows, then mix the columns."""
    bins = check_rois("roi_align", features, rois, output_size, sampling_ratio)
    rows, columns = axis_matrices(features, rois, bins, spatial_scale, sampling_ratio, aligned)
    return _mixed(features, rois[:, 0], rows, columns)


def _mixed(features: Tensor, image_index: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Mix the rows [N, P, H] and columns [N, Q, W] of each box's image -> [N, C, P, Q]."""
    if len(image_index) == 0:
        return (features.sum() * 0).expand(0, features.shape[1], rows.shape[1], columns.shape[1])
    rows, columns = rows.to(features), columns.to(features)
    pooled, origin = [], []
    for image, plane in enumerate(features):  # [C, H, W]
        in_image = (image_index.long() == image).nonzero().squeeze(1)  # [n]
        strips = torch.einsum("nph,chw->ncpw", rows[in_image], plane)  # [n, C, P, W]
        pooled.append(torch.einsum("ncpw,nqw->ncpq", strips, columns[in_image]))  # [n, C, P, Q]
        origin.append(in_image)
    return torch.cat(pooled)[torch.cat(origin).argsort()]


@primitive(naive=_naive_roi_align, scratch=_scratch_roi_align)
def roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: IntPair,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """Average bilinear samples of a feature map in the bins of every box.

    Samples up to one cell outside the map take the value at its border; farther ones are 0. No
    gradient flows into the boxes.

    Args:
        features: [B, C, H, W].
        rois: [N, 5] rows of (index of the image in the batch, x0, y0, x1, y1), boxes in pixels.
        output_size: bins (vertical, horizontal), or one number for both: (P, Q).
        spatial_scale: feature cells per pixel, 1/stride.
        sampling_ratio: samples per bin along each axis; 0 means the bin's length in cells,
            rounded up.
        aligned: True puts the centre of pixel 0 at coordinate 0.5 (detectron2, half-open boxes);
            False puts it at 0 and makes boxes at least one cell large (torchvision's detectors).

    Returns:
        [N, C, P, Q], in memory format channels_last if there are several channels.

    Raises:
        SeglibError: features are not float [B, C, H, W], rois not [N, 5] or not finite, an image
            index outside the batch, no bins, or a negative sampling ratio.
    """
    bins = check_rois("roi_align", features, rois, output_size, sampling_ratio)
    rows, columns = axis_matrices(features, rois, bins, spatial_scale, sampling_ratio, aligned)
    if features.shape[1] < FEW_CHANNELS:
        return _mixed(features, rois[:, 0], rows, columns)
    size = features.shape[-2:]
    # Contiguous, or `embedding_bag` takes a path ten times slower.
    table = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]).contiguous()  # [B·H·W, C]
    taps = bin_taps(rows, columns, rois[:, 0].long() * size.numel(), size[1])
    grid = _WeightedSums.apply(table, *taps)  # [N·P·Q, C]
    return grid.reshape(len(rois), *bins, features.shape[1]).permute(0, 3, 1, 2)  # [N, C, P, Q]


class _WeightedSums(torch.autograd.Function):
    """out[r] = Σ weight[t] · table[cell[t]] over the taps t of row r: a sparse matrix product.

    In both passes, `embedding_bag` reads and adds whole rows of C channels with vector
    instructions, whereas a loop over boxes, channels and bins would gather single numbers.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, cell: Tensor, weight: Tensor, count: Tensor) -> Tensor:
        """[cells, C], int32 [T] cells, [T] weights, int64 [R] taps per row -> [R, C]."""
        ctx.save_for_backward(cell, weight, count)
        ctx.cells = len(table)
        starts = (count.cumsum(0) - count).to(cell.dtype)
        return F.embedding_bag(
            cell, table, starts, mode="sum", per_sample_weights=weight.to(table.dtype)
        )

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """[R, C] -> [cells, C], the transposed product: taps sorted by cell are its rows."""
        cell, weight, count = ctx.saved_tensors
        row = torch.arange(len(count), dtype=cell.dtype, device=cell.device)
        row = row.repeat_interleave(count, output_size=len(cell))  # [T]
        by_cell, order = cell.sort()  # [T] each
        starts = torch.searchsorted(
            by_cell, torch.arange(ctx.cells, dtype=cell.dtype, device=cell.device), out_int32=True
        )
        weights = weight[order].to(gradient.dtype)
        rows = row[order]
        sums = F.embedding_bag(
            rows, gradient.contiguous(), starts, mode="sum", per_sample_weights=weights
        )
        return sums, None, None, None
