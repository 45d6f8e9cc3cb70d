"""How similar two regions of an image are: in colour, texture, size and shape.

The four measures of selective search (Uijlings et al. 2013, section 3.2), each in 0…1. All of them
can be computed for the union of two regions without looking at the pixels again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seglib.models.rcnn.graph_segmentation import smooth

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Measures = tuple[str, ...]
ALL_MEASURES: Measures = ("color", "texture", "size", "fill")

COLOR_BINS = 25
TEXTURE_BINS = 10
DIRECTIONS = 8
# The slope per pixel of a smoothed image in 0…1 hardly exceeds this.
STEEPEST = 0.25


@dataclass
class Regions:
    """The measurements that merging needs; the rows of regions that do not exist yet are zero.

    They are NumPy arrays, since hundreds of merges each take a dozen steps on a few numbers, which
    cost less there.

    Attributes:
        color: [2R-1, 3 * 25], a histogram per channel; a row sums to 1.
        texture: [2R-1, 24 * 10], a histogram of each channel's slope in each of 8 directions; a
            row sums to 1.
        size: [2R-1] pixels.
        boxes: [2R-1, 4] corners in pixels.
        count: R.
        pixels: number of pixels of the image.
    """

    color: Floats
    texture: Floats
    size: Floats
    boxes: Floats
    count: int
    pixels: int

    @classmethod
    def describe(cls, image: Tensor, segments: Tensor) -> Regions:
        """Measure the R initial regions of an image [3, H, W] with segments [H, W]."""
        count = int(segments.max()) + 1
        measured = (
            region_histograms(image, segments, COLOR_BINS),
            region_histograms(slopes(image) / STEEPEST, segments, TEXTURE_BINS),
            segments.flatten().bincount().float(),
            region_boxes(segments),
        )
        color, texture, size, boxes = (
            torch.cat([table, torch.zeros_like(table[1:])]).cpu().numpy() for table in measured
        )
        return cls(color, texture, size, boxes, count, segments.numel())

    def merge(self, a: int, b: int, new: int) -> None:
        """Fill row `new` from its two parents, without looking at the pixels again."""
        self.size[new] = self.size[a] + self.size[b]
        share = self.size[a] / self.size[new]
        for table in (self.color, self.texture):
            table[new] = share * table[a] + (1 - share) * table[b]
        self.boxes[new, :2] = np.minimum(self.boxes[a, :2], self.boxes[b, :2])
        self.boxes[new, 2:] = np.maximum(self.boxes[a, 2:], self.boxes[b, 2:])

    def compare(
        self, one: int, others: Sequence[int], measures: Measures
    ) -> dict[tuple[int, int], float]:
        """The similarity of region `one` to earlier regions, by (other, one)."""
        rows = np.array(others, dtype=np.int64)
        values = sum((SIMILARITY[name](self, one, rows) for name in measures), np.zeros(len(rows)))
        return {(other, one): value for other, value in zip(others, values.tolist(), strict=True)}


def _color(regions: Regions, one: int, others: Ints) -> Floats:
    """The intersection of the two histograms, as for texture."""
    shared: Floats = np.minimum(regions.color[one], regions.color[others]).sum(1)
    return shared


def _texture(regions: Regions, one: int, others: Ints) -> Floats:
    shared: Floats = np.minimum(regions.texture[one], regions.texture[others]).sum(1)
    return shared


def _size(regions: Regions, one: int, others: Ints) -> Floats:
    """Large for small regions: otherwise one large region would absorb its neighbours in turn."""
    return 1 - (regions.size[one] + regions.size[others]) / regions.pixels


def _fill(regions: Regions, one: int, others: Ints) -> Floats:
    """Large if little of their common box belongs to neither: this fills gaps and holes."""
    first = np.minimum(regions.boxes[one, :2], regions.boxes[others, :2])
    last = np.maximum(regions.boxes[one, 2:], regions.boxes[others, 2:])
    empty = (last - first).prod(1) - regions.size[one] - regions.size[others]
    return 1 - empty / regions.pixels


SIMILARITY = {"color": _color, "texture": _texture, "size": _size, "fill": _fill}


def region_histograms(values: Tensor, segments: Tensor, bins: int) -> Tensor:
    """The distribution of every channel inside every region.

    Args:
        values: [C, H, W] in 0…1; values outside count in the first or last bin.
        segments: int64 [H, W], region numbers 0…R-1.
        bins: number of bins per channel.

    Returns:
        float32 [R, C * bins]; every row sums to 1.
    """
    channels, count = len(values), int(segments.max()) + 1
    bin_number = (values * bins).long().clamp(0, bins - 1)  # [C, H, W]
    channel = torch.arange(channels, device=values.device)[:, None, None]  # [C, 1, 1]
    place = (segments * channels + channel) * bins + bin_number  # [C, H, W]
    histogram = place.flatten().bincount(minlength=count * channels * bins).float()
    histogram = histogram.view(count, channels * bins)
    return histogram / histogram.sum(1, keepdim=True)


def slopes(image: Tensor) -> Tensor:
    """The rise per pixel of each channel in each of 8 directions: [24, H, W], 0 where it falls."""
    down, right = torch.gradient(smooth(image, 1.0), dim=(1, 2))  # [3, H, W] each
    angle = torch.arange(DIRECTIONS, device=image.device) * (2 * torch.pi / DIRECTIONS)  # [8]
    cos, sin = angle.cos().view(-1, 1, 1, 1), angle.sin().view(-1, 1, 1, 1)
    return (cos * right + sin * down).clamp(min=0).flatten(0, 1)  # [8, 3, H, W] -> [24, H, W]


def region_boxes(segments: Tensor) -> Tensor:
    """The boxes float32 [R, 4], half-open, of the regions 0…R-1 of a map [H, W]."""
    height, width = segments.shape
    region, count = segments.flatten(), int(segments.max()) + 1
    y = torch.arange(height, device=region.device).repeat_interleave(width)  # [H·W]
    x = torch.arange(width, device=region.device).repeat(height)  # [H·W]
    far = torch.full((count,), max(height, width), device=region.device)  # [R]
    first = [far.scatter_reduce(0, region, v, "amin") for v in (x, y)]
    last = [torch.zeros_like(far).scatter_reduce(0, region, v + 1, "amax") for v in (x, y)]
    return torch.stack(first + last, dim=1).float()


def neighbouring(segments: Tensor) -> Tensor:
    """bool [R, R]: whether two of the regions 0…R-1 of a map [H, W] share a pixel edge."""
    count = int(segments.max()) + 1
    touch = torch.zeros(count, count, dtype=torch.bool, device=segments.device)
    touch[segments[:, :-1], segments[:, 1:]] = True
    touch[segments[:-1], segments[1:]] = True
    return (touch | touch.T).fill_diagonal_(False)
