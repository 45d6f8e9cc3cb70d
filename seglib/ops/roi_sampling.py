"""Where RoIAlign samples: the weights of a map's rows and columns in the bins of each box."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import check_finite
from seglib.ops.windows import IntPair, pair


def interpolation_matrix(
    start: Tensor, end: Tensor, bins: int, cells: int, sampling_ratio: int = 0
) -> Tensor:
    """The weight of every cell of an axis in every bin between `start` and `end`.

    Args:
        start: [N], first border of each box in cells; the centre of cell i is at i.
        end: [N], second border of each box.
        bins: P, the number of equal parts into which each box is divided.
        cells: length of the feature map along this axis.
        sampling_ratio: samples per bin; 0 means the bin's length, rounded up.

    Returns:
        [N, P, cells] weights; those of a bin sum to 1, or to less if samples lie outside the map.
    """
    step = (end - start) / bins  # [N]
    count = torch.full_like(step, sampling_ratio) if sampling_ratio else step.ceil()  # [N]
    largest_count = int(count.max().clamp(min=1)) if len(count) else 1
    index = torch.arange(largest_count, device=start.device)  # [S]
    bin_start = start[:, None] + torch.arange(bins, device=start.device) * step[:, None]  # [N, P]
    samples = (index + 0.5) * step[:, None] / count[:, None].clamp(min=1)  # [N, S] from bin_start
    position = bin_start[:, :, None] + samples[:, None, :]  # [N, P, S]
    counted = (position >= -1) & (position <= cells) & (index < count[:, None, None])
    weight = counted / count[:, None, None].clamp(min=1)  # [N, P, S]
    position = position.clamp(0, cells - 1)
    low = position.long()
    beyond = position - low
    matrix = start.new_zeros(len(start), bins, cells)  # [N, P, cells]
    matrix.scatter_add_(2, low, (1 - beyond) * weight)
    return matrix.scatter_add_(2, (low + 1).clamp(max=cells - 1), beyond * weight)


def axis_matrices(
    features: Tensor,
    rois: Tensor,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[Tensor, Tensor]:
    """The two matrices of each box: RoIAlign is rows · features · columnsᵀ.

    The arguments are those of `seglib.ops.roi_align`, with (P, Q) bins.

    Returns:
        weights of the rows [N, P, H] and of the columns [N, Q, W].
    """
    _, left, top, right, bottom = boxes_in_cells(rois, spatial_scale, aligned).unbind(1)  # [N] each
    return (
        interpolation_matrix(top, bottom, bins[0], features.shape[2], sampling_ratio),
        interpolation_matrix(left, right, bins[1], features.shape[3], sampling_ratio),
    )


def boxes_in_cells(rois: Tensor, spatial_scale: float, aligned: bool) -> Tensor:
    """Rois [N, 5] from pixels to cells, where the centre of cell i is at i; float32 or float64."""
    rois = rois.detach() if rois.dtype == torch.float64 else rois.detach().float()
    corners = rois[:, 1:] * spatial_scale
    if aligned:
        corners = corners - 0.5
    else:
        sides = (corners[:, 2:] - corners[:, :2]).clamp(min=1)  # [N, 2]
        corners = torch.cat([corners[:, :2], corners[:, :2] + sides], dim=1)
    return torch.cat([rois[:, :1], corners], dim=1)


def bin_taps(
    rows: Tensor, columns: Tensor, image_start: Tensor, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The cells that every bin reads: a rectangle, row by row.

    Args:
        rows: [N, P, H] weights of the rows.
        columns: [N, Q, W] weights of the columns.
        image_start: int64 [N], number of the first cell of each box's image.
        width: W.

    Returns:
        int32 [T] cells, [T] weights, int64 [N·P·Q] taps per bin, bins in the output's order.
    """
    (top, high), (left, wide) = _reach(rows), _reach(columns)  # int64 [N, P], [N, Q] each
    count = (high[:, :, None] * wide[:, None, :]).flatten()  # [N·P·Q]
    total = int(count.sum())
    bins = torch.arange(len(count), device=count.device)  # [N·P·Q]
    tap_bin = bins.repeat_interleave(count, output_size=total)  # [T]
    tap = (
        torch.arange(total, device=count.device) - (count.cumsum(0) - count)[tap_bin]
    )  # in its bin
    box = tap_bin // (rows.shape[1] * columns.shape[1])  # [T] like all below
    row = tap_bin // columns.shape[1]  # in [N·P]
    column = box * columns.shape[1] + tap_bin % columns.shape[1]  # in [N·Q]
    across = wide.flatten()[column]
    down = tap // across
    y = top.flatten()[row] + down
    x = left.flatten()[column] + tap - down * across
    weight = rows.flatten(0, 1)[row, y] * columns.flatten(0, 1)[column, x]
    return (image_start[box] + y * width + x).int(), weight, count


def _reach(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The cells that each bin reads, from weights [N, P, cells].

    Returns:
        the first cell and the number of cells, int64 [N, P] each; 0 cells if a bin reads nothing.
    """
    cells = matrix.shape[2]
    index = torch.arange(cells, device=matrix.device)  # [cells]
    read = matrix != 0  # [N, P, cells]
    first = index.where(read, cells).amin(2)  # [N, P]
    last = index.where(read, -1).amax(2)  # [N, P]
    return first, (last - first + 1).clamp(min=0)


def check_rois(
    name: str, features: Tensor, rois: Tensor, output_size: IntPair, sampling_ratio: int = 0
) -> tuple[int, int]:
    """Refuse what the primitive `name` cannot pool; return the (P, Q) bins.

    Raises:
        SeglibError: features are not float [B, C, H, W] with cells, rois not [N, 5] or not finite,
            an image index outside the batch, no bins, or a negative sampling ratio.
    """
    bins = pair(output_size)
    if features.ndim != 4 or rois.ndim != 2 or rois.shape[1] != 5:
        raise SeglibError(
            f"{name} needs features [B, C, H, W] and rois [N, 5] (image index, x0, y0, x1, y1), "
            f"got {list(features.shape)} and {list(rois.shape)}"
        )
    if min(bins) < 1:
        raise SeglibError(f"{name} needs an output_size of 1 or more, got {output_size}")
    if sampling_ratio < 0:
        raise SeglibError(f"{name} needs a sampling_ratio of 0 or more, got {sampling_ratio}")
    if not features.is_floating_point() or 0 in features.shape[2:]:
        raise SeglibError(
            f"{name} needs float features with cells, got {features.dtype} {list(features.shape)}"
        )
    check_finite(name, "rois", rois)
    if len(rois) and not 0 <= int(rois[:, 0].min()) <= int(rois[:, 0].max()) < len(features):
        raise SeglibError(
            f"{name}: an image index of the rois lies outside the batch of {len(features)}"
        )
    return bins
