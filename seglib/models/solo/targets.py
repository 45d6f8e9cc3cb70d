"""Assign objects to cells (SOLO, section 3.3.1).

An object's size, √(w · h) of its box, selects the levels, often two, because their ranges overlap.
On each of them, the cell of its centre of mass is positive, and so are the neighbours that a region
of a fifth of the box around this centre touches: 1 to 9 cells. All positive cells learn the
object's class and its whole mask. If two objects claim a cell, the later one gets it; SOLOv2 learns
both masks there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.models.solo.config import SOLOConfig
from seglib.models.solo.mask_maps import Cells
from seglib.models.targets import SizedTarget
from seglib.ops.masks import mask_area
from seglib.ops.upsampling import interpolate
from seglib.structures import Size


@dataclass(eq=False)
class BatchObjects:
    """The objects of a batch, image after image; rows are objects.

    Attributes:
        image: int64 [G], index of the image in the batch.
        labels: int64 [G], 1…C.
        boxes: float [G, 4] in pixels of the batch.
        masks: bool [G, H, W] on the canvas.
        extents: float [G, 2], (height, width) in pixels of the area that the object's grid covers.
    """

    image: Tensor
    labels: Tensor
    boxes: Tensor
    masks: Tensor
    extents: Tensor


@dataclass(eq=False)
class Assignment:
    """The targets of the cells of a batch.

    Attributes:
        cells: P positive cells; one that learns two masks occurs twice.
        objects: int64 [P], the row of each cell's object in `BatchObjects`.
        labels: int64 [B, N], 1…C, or 0 for negatives; cells are numbered as in `Cells.numbers`.
    """

    cells: Cells
    objects: Tensor
    labels: Tensor


def batch_objects(
    truth: Sequence[SizedTarget], sizes: Sequence[Size], canvas: Size, padded: bool
) -> BatchObjects:
    """Gather the objects of all images.

    Args:
        truth: the objects of each image.
        sizes: (h, w) of the images on the canvas.
        canvas: (H, W).
        padded: see `SOLORules.padded`.
    """
    counts = [len(target.labels) for target in truth]
    like = truth[0].labels
    image = torch.arange(len(truth), device=like.device).repeat_interleave(like.new_tensor(counts))
    masks = [
        F.pad(target.masks, (0, canvas[1] - w, 0, canvas[0] - h))  # [g, H, W]
        for target, (h, w) in zip(truth, sizes, strict=True)
    ]
    covered = [canvas] * len(sizes) if padded else list(sizes)
    extents = truth[0].boxes.new_tensor(covered)  # [B, 2]
    return BatchObjects(
        image,
        torch.cat([target.labels for target in truth]),
        torch.cat([target.boxes for target in truth]),
        torch.cat(masks),
        extents[image],
    )


def assign_cells(objects: BatchObjects, images: int, config: SOLOConfig) -> Assignment:
    """Assign objects to cells in all images and levels at once.

    Args:
        objects: G objects.
        images: B, the number of images.
        config: contains the grids and ranges.
    """
    rules, grids = config.rules, objects.labels.new_tensor(config.grids)  # [L]
    shortened = 1 if rules.short_boxes else 0
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2] - shortened  # [G, 2]
    # The official code divides Python's 64-bit floats; not every device has float64.
    dtype = torch.float64 if rules.rounded_division else torch.float32
    sides = sides.clamp(min=0).flip(1).to(dtype)  # [G, 2], from here on (height, width)
    extents = objects.extents.to(dtype)
    centres = mass_centres(objects.masks, rules.pixel_indices, dtype)  # [G, 2]
    half = config.centre_region * sides / 2  # [G, 2]
    cell, first, last = (
        cells_of(place, extents, grids, rules.rounded_division)  # [G, L, 2] each
        for place in (centres, centres - half, centres + half)
    )
    last_cell = grids[:, None] - 1  # [L, 1]
    first = torch.maximum(first.clamp(min=0), cell - 1)
    last = torch.minimum(torch.minimum(last, last_cell), cell + 1)
    # Rows and columns of the 3 x 3 cells around the centre.
    around = cell[..., None] + torch.arange(-1, 2, device=cell.device)  # [G, L, 2, 3]
    inside = (around >= first[..., None]) & (around <= last[..., None])  # [G, L, 2, 3]
    takes = _levels_taken(sides, config.scale_ranges) & (mask_area(objects.masks) > 0)[:, None]
    positive = inside[..., 0, :, None] & inside[..., 1, None, :] & takes[..., None, None]
    row_objects, level, i, j = positive.nonzero().unbind(1)  # [P] each, object after object
    cells = Cells(
        objects.image[row_objects],
        level,
        around[row_objects, level, 0, i],
        around[row_objects, level, 1, j],
    )
    return _resolved(cells, row_objects, objects.labels, images, config)


def mass_centres(
    masks: Tensor, pixel_indices: bool = False, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The centre of mass of each mask.

    Args:
        masks: bool [G, H, W].
        pixel_indices: see `SOLORules.pixel_indices`.
        dtype: the dtype of the result.

    Returns:
        [G, 2], (y, x) in pixels; arbitrary for an empty mask.
    """
    area = mask_area(masks).clamp(min=1)[:, None].to(dtype)  # [G, 1]
    means = []
    for axis in (2, 1):  # count the pixels of each row, then of each column
        counts = masks.sum(axis).to(dtype)  # [G, H] or [G, W]
        index = torch.arange(counts.shape[1], dtype=dtype, device=masks.device)
        means.append((counts * index).sum(1, keepdim=True) / area)  # [G, 1]
    return torch.cat(means, 1) + (0.0 if pixel_indices else 0.5)


def cells_of(places: Tensor, extents: Tensor, grids: Tensor, rounded: bool = False) -> Tensor:
    """The row and column of each place in every grid.

    Args:
        places: float [G, 2], (y, x) in pixels.
        extents: float [G, 2], (height, width) that the grids cover.
        grids: int64 [L], S of each grid.
        rounded: see `SOLORules.rounded_division`.

    Returns:
        int64 [G, L, 2]; outside 0…S−1 for a place outside the grid.
    """
    sides = grids[:, None].to(places)  # [L, 1]
    if rounded:
        share = (places / extents)[:, None]  # [G, 1, 2]
        return share.div(1 / sides, rounding_mode="floor").long()
    return (places[:, None] * sides / extents[:, None]).floor().long()


def _levels_taken(sides: Tensor, ranges: Sequence[tuple[float, float]]) -> Tensor:
    """bool [G, L]: the levels whose range, limits included, contains √(h · w)."""
    size = sides.prod(1, keepdim=True).sqrt()  # [G, 1]
    low, high = size.new_tensor(ranges).unbind(1)  # [L] each
    return (size >= low) & (size <= high)


def _resolved(
    cells: Cells, objects: Tensor, labels: Tensor, images: int, config: SOLOConfig
) -> Assignment:
    """Resolve cells that several objects claim: the last object gets the cell."""
    numbers = cells.image * config.cells + cells.numbers(config.grids)  # [P]
    owner = objects.new_full((images * config.cells,), -1)  # [B·N]
    owner = owner.scatter_reduce(0, numbers, objects, "amax")
    if config.variant != "v2":  # SOLOv2 learns the masks of all objects that claim a cell
        wins = owner[numbers] == objects  # [P]
        cells, objects = cells[wins], objects[wins]
    padded = F.pad(labels, (1, 0))  # row 0 is the label of cells without an object
    return Assignment(cells, objects, padded[owner + 1].unflatten(0, (images, config.cells)))


def owners_of_cells(assignment: Assignment, config: SOLOConfig) -> tuple[Tensor, Tensor]:
    """The objects of one image that own at least one cell; the others cannot get a mask.

    Returns:
        int64 [K] objects, and int64 [K] the finest level on which each owns a cell.
    """
    last = assignment.objects.new_full((config.cells,), -1)  # [N]
    numbers = assignment.cells.numbers(config.grids)  # [P]
    last = last.scatter_reduce(0, numbers, assignment.objects, "amax")
    owned = (last >= 0).nonzero().squeeze(1)  # [n]
    owners, index = last[owned].unique(return_inverse=True)  # [K], [n]
    levels = Cells.from_numbers(owned, config.grids, image=0).level  # [n]
    finest = torch.full_like(owners, len(config.grids)).scatter_reduce(0, index, levels, "amin")
    return owners, finest


def mask_targets(masks: Tensor, size: Size, binary: bool = False) -> Tensor:
    """Resize objects' masks to the targets of a mask map.

    Args:
        masks: bool [G, H, W] on the canvas.
        size: (h, w), which divide H and W.
        binary: see `SOLORules.binary_targets`.

    Returns:
        float [G, h, w], the fraction of each cell that the object covers; 0 or 1 if binary.
    """
    if not binary:
        stride = (masks.shape[1] // size[0], masks.shape[2] // size[1])
        return F.avg_pool2d(masks[:, None].float(), stride)[:, 0]
    if len(masks) == 0:
        return torch.zeros(0, *size, device=masks.device)
    return (interpolate(masks[None].float(), size)[0] >= 0.5).float()
