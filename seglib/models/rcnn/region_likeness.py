"""How much two regions of an image belong together: by colour, texture, size and shape.

The four measures of selective search (Uijlings et al. 2013, section 3.2), each in 0…1. All of them
can be carried over from two regions to their union without a look at the pixels.
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
# The slope of a smoothed image in 0…1 hardly exceeds this, a pixel.
STEEPEST = 0.25


@dataclass
class Regions:
    """What merging needs to know of each region; rows of regions not merged yet hold zeros.

    NumPy, because hundreds of merges each do a dozen steps on a few numbers, and a step costs
    less there.

    Attributes:
        color: [2R-1, 3 * 25], a histogram of each channel; a region's numbers sum to 1.
        texture: [2R-1, 24 * 10], one of each channel's slope in each of 8 directions; likewise.
        size: [2R-1] pixels.
        boxes: [2R-1, 4] corners in pixels.
        count: R.
        pixels: of the image.
    """

    color: Floats
    texture: Floats
    size: Floats
    boxes: Floats
    count: int
    pixels: int

    @classmethod
    def describe(cls, image: Tensor, segments: Tensor) -> Regions:
        """Measure the R first regions."""
        count = int(segments.max()) + 1
        measured = (
            region_histograms(image, segments, COLOR_BINS),
            region_histograms(slopes(image) / STEEPEST, segments, TEXTURE_BINS),
            segments.flatten().bincount().float(),
            region_boxes(segments),
        )
        color, texture, size, boxes = (
            torch.cat([table, torch.zeros_like(table[1:])]).numpy() for table in measured
        )
        return cls(color, texture, size, boxes, count, segments.numel())

    def merge(self, a: int, b: int, new: int) -> None:
        """Fill row `new` from its two parents; no pixel is looked at again."""
        self.size[new] = self.size[a] + self.size[b]
        share = self.size[a] / self.size[new]
        for table in (self.color, self.texture):
            table[new] = share * table[a] + (1 - share) * table[b]
        self.boxes[new, :2] = np.minimum(self.boxes[a, :2], self.boxes[b, :2])
        self.boxes[new, 2:] = np.maximum(self.boxes[a, 2:], self.boxes[b, 2:])

    def compare(
        self, one: int, others: Sequence[int], measures: Measures
    ) -> dict[tuple[int, int], float]:
        """The likeness of a region with others that came before it, by (other, one)."""
        rows = np.array(others, dtype=np.int64)
        values = sum((LIKENESS[name](self, one, rows) for name in measures), np.zeros(len(rows)))
        return {(other, one): value for other, value in zip(others, values.tolist(), strict=True)}


def _color(regions: Regions, one: int, others: Ints) -> Floats:
    """What the two histograms share."""
    shared: Floats = np.minimum(regions.color[one], regions.color[others]).sum(1)
    return shared


def _texture(regions: Regions, one: int, others: Ints) -> Floats:
    shared: Floats = np.minimum(regions.texture[one], regions.texture[others]).sum(1)
    return shared


def _size(regions: Regions, one: int, others: Ints) -> Floats:
    """Small regions first, or one large region would eat its neighbours one by one."""
    return 1 - (regions.size[one] + regions.size[others]) / regions.pixels


def _fill(regions: Regions, one: int, others: Ints) -> Floats:
    """How little of their common box belongs to neither: fills gaps and holes."""
    first = np.minimum(regions.boxes[one, :2], regions.boxes[others, :2])
    last = np.maximum(regions.boxes[one, 2:], regions.boxes[others, 2:])
    empty = (last - first).prod(1) - regions.size[one] - regions.size[others]
    return 1 - empty / regions.pixels


LIKENESS = {"color": _color, "texture": _texture, "size": _size, "fill": _fill}


def region_histograms(values: Tensor, segments: Tensor, bins: int) -> Tensor:
    """The distribution of every channel inside every region.

    Args:
        values: [C, H, W] in 0…1; what lies outside counts in the first or last bin.
        segments: int64 [H, W] of 0…R-1.
        bins: how many a channel.

    Returns:
        float32 [R, C * bins]; every row sums to 1.
    """
    channels, count = len(values), int(segments.max()) + 1
    bin_number = (values * bins).long().clamp(0, bins - 1)  # [C, H, W]
    place = (segments * channels + torch.arange(channels)[:, None, None]) * bins + bin_number
    histogram = place.flatten().bincount(minlength=count * channels * bins).float()
    histogram = histogram.view(count, channels * bins)
    return histogram / histogram.sum(1, keepdim=True)


def slopes(image: Tensor) -> Tensor:
    """How much each channel rises a pixel in each of 8 directions: [24, H, W], falling is 0."""
    down, right = torch.gradient(smooth(image, 1.0), dim=(1, 2))  # [3, H, W] each
    angle = torch.arange(DIRECTIONS) * (2 * torch.pi / DIRECTIONS)
    cos, sin = angle.cos().view(-1, 1, 1, 1), angle.sin().view(-1, 1, 1, 1)
    return (cos * right + sin * down).clamp(min=0).flatten(0, 1)


def region_boxes(segments: Tensor) -> Tensor:
    """float32 [R, 4] half-open corners of the regions of an [H, W] map of 0…R-1."""
    height, width = segments.shape
    region, count = segments.flatten(), int(segments.max()) + 1
    y = torch.arange(height).repeat_interleave(width)
    x = torch.arange(width).repeat(height)
    far = torch.full((count,), max(height, width))
    first = [far.scatter_reduce(0, region, v, "amin") for v in (x, y)]
    last = [torch.zeros_like(far).scatter_reduce(0, region, v + 1, "amax") for v in (x, y)]
    return torch.stack(first + last, dim=1).float()


def neighbouring(segments: Tensor) -> Tensor:
    """bool [R, R]: which regions of an [H, W] map of 0…R-1 share an edge."""
    count = int(segments.max()) + 1
    touch = torch.zeros(count, count, dtype=torch.bool)
    touch[segments[:, :-1], segments[:, 1:]] = True
    touch[segments[:-1], segments[1:]] = True
    return (touch | touch.T).fill_diagonal_(False)
