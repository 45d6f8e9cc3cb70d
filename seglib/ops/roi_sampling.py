"""Where RoIAlign samples: the weights of a map's rows and columns in the bins of every box."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import check_finite
from seglib.ops.windows import IntPair, pair


def interpolation_matrix(
    start: Tensor, end: Tensor, bins: int, cells: int, sampling_ratio: int = 0
) -> Tensor:
    """How much every cell of an axis counts in every bin between `start` and `end`.

    Args:
        start: [N] where the boxes begin, in cells; the middle of cell i is at i.
        end: [N] where they end.
        bins: parts of equal length that each box is cut into.
        cells: length of the feature map along this axis.
        sampling_ratio: samples a bin; 0 means as many as the bin is long, rounded up.

    Returns:
        [N, bins, cells] weights; a bin's sum is 1 inside the map, less where samples fall outside.
    """
    step = (end - start) / bins  # [N]
    count = torch.full_like(step, sampling_ratio) if sampling_ratio else step.ceil()
    most = int(count.max().clamp(min=1)) if len(count) else 1
    index = torch.arange(most, device=start.device)
    bin_start = start[:, None] + torch.arange(bins, device=start.device) * step[:, None]  # [N, P]
    samples = (index + 0.5) * step[:, None] / count[:, None].clamp(min=1)  # [N, S] from bin_start
    position = bin_start[:, :, None] + samples[:, None, :]  # [N, P, S]
    counted = (position >= -1) & (position <= cells) & (index < count[:, None, None])
    weight = counted / count[:, None, None].clamp(min=1)
    position = position.clamp(0, cells - 1)
    low = position.long()
    beyond = position - low
    matrix = start.new_zeros(len(start), bins, cells)
    matrix.scatter_add_(2, low, (1 - beyond) * weight)
    return matrix.scatter_add_(2, (low + 1).clamp(max=cells - 1), beyond * weight)


def reach(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Where on an axis a bin reads: [N, P, cells] weights -> first cell, number of cells.

    Returns:
        int64 [N, P] each; a bin that reads nothing has none.
    """
    cells = matrix.shape[2]
    index = torch.arange(cells, device=matrix.device)
    read = matrix != 0
    first = index.where(read, cells).amin(2)
    last = index.where(read, -1).amax(2)
    return first, (last - first + 1).clamp(min=0)


def axis_matrices(
    features: Tensor,
    rois: Tensor,
    output_size: IntPair,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[Tensor, Tensor]:
    """The two matrices of every box: RoIAlign is rows · features · columnsᵀ.

    The arguments are those of `seglib.ops.roi_align`.

    Returns:
        weights of the rows [N, P, H] and of the columns [N, Q, W].
    """
    _, left, top, right, bottom = boxes_in_cells(rois, spatial_scale, aligned).unbind(1)
    height, width = pair(output_size)
    return (
        interpolation_matrix(top, bottom, height, features.shape[2], sampling_ratio),
        interpolation_matrix(left, right, width, features.shape[3], sampling_ratio),
    )


def boxes_in_cells(rois: Tensor, spatial_scale: float, aligned: bool) -> Tensor:
    """Rois [N, 5] from pixels to cells, where the middle of cell i is at i; float32 or float64."""
    rois = rois.detach() if rois.dtype == torch.float64 else rois.detach().float()
    corners = rois[:, 1:] * spatial_scale
    if aligned:
        corners = corners - 0.5
    else:
        sides = (corners[:, 2:] - corners[:, :2]).clamp(min=1)
        corners = torch.cat([corners[:, :2], corners[:, :2] + sides], dim=1)
    return torch.cat([rois[:, :1], corners], dim=1)


def check_rois(name: str, features: Tensor, rois: Tensor, output_size: IntPair) -> None:
    """Refuse shapes, image indices and bins that primitive `name` cannot pool.

    Raises:
        SeglibError: features are not float [B, C, H, W] with cells, rois not [N, 5] or not finite,
            an image index outside the batch, or no bins.
    """
    if features.ndim != 4 or rois.ndim != 2 or rois.shape[1] != 5:
        raise SeglibError(
            f"{name} needs features [B, C, H, W] and rois [N, 5] (image index, x0, y0, x1, y1), "
            f"got {list(features.shape)} and {list(rois.shape)}"
        )
    if min(pair(output_size)) < 1:
        raise SeglibError(f"{name} needs an output_size of 1 or more, got {output_size}")
    if not features.is_floating_point() or 0 in features.shape[2:]:
        raise SeglibError(
            f"{name} needs float features with cells, got {features.dtype} {list(features.shape)}"
        )
    check_finite(name, "rois", rois)
    if len(rois) and not 0 <= int(rois[:, 0].min()) <= int(rois[:, 0].max()) < len(features):
        raise SeglibError(
            f"{name}: an image index of the rois lies outside the batch of {len(features)}"
        )
