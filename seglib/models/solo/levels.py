"""The pyramid as SOLO's heads use it, and the part of each map that an image covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seglib.ops.coord_conv import Sizes
from seglib.ops.upsampling import interpolate
from seglib.structures import ImageBatch


@dataclass(eq=False)
class Levels:
    """The input maps of the heads, one for each grid.

    Attributes:
        maps: [B, F, h_l, w_l], finest first.
        strides: strides of the maps, in pixels of the batch.
        spans: for each map, the (height, width) in cells that each image's grid covers; None: all
            grids cover the whole maps.
    """

    maps: list[Tensor]
    strides: tuple[int, ...]
    spans: list[Sizes] | None

    def __iter__(self) -> Iterator[tuple[Tensor, Sizes | None]]:
        """Each map with its spans."""
        spans: Sequence[Sizes | None] = self.spans or [None] * len(self.maps)
        return iter(zip(self.maps, spans, strict=True))


def level_strides(backbone_strides: Sequence[int]) -> tuple[int, ...]:
    """Strides of the five maps, from those of C2…C5: P2 has that of P3, and P6 that of P5."""
    _, second, third, fourth = backbone_strides
    return (second, second, third, fourth, fourth)


def rescaled_levels(
    pyramid: Sequence[Tensor], strides: Sequence[int], batch: ImageBatch, padded: bool
) -> Levels:
    """Resize the first level to half its size and the last one to the size of its neighbour.

    P2 would be costly for a head that predicts S² masks, and P6 has too few cells for them
    (official code, `split_feats`).

    Args:
        pyramid: P2…P6, [B, F, h_l, w_l].
        strides: strides of C2…C5.
        batch: the images as the network sees them.
        padded: whether the grids cover the padding, see `SOLORules.padded`.
    """
    p2, *middle, p6 = pyramid
    half = (p2.shape[-2] // 2, p2.shape[-1] // 2)
    maps = [interpolate(p2, half), *middle, interpolate(p6, _size(middle[-1]))]
    map_strides = level_strides(strides)
    if padded or all(size == batch.canvas for size in batch.sizes):
        return Levels(maps, map_strides, None)
    spans = [[(-(-h // s), -(-w // s)) for h, w in batch.sizes] for s in map_strides]
    return Levels(maps, map_strides, list(spans))


def resize_to_grid(features: Tensor, side: int, spans: Sizes | None = None) -> Tensor:
    """Resize the part of its map that each image covers to S x S cells.

    Args:
        features: [B, F, h, w].
        side: S.
        spans: (height, width) in cells of each image; None: the whole maps.

    Returns:
        [B, F, S, S].
    """
    if spans is None:
        return interpolate(features, (side, side))
    parts = [
        interpolate(image_map[None, :, :height, :width], (side, side))  # [1, F, S, S]
        for image_map, (height, width) in zip(features, spans, strict=True)
    ]
    return torch.cat(parts)


def _size(features: Tensor) -> tuple[int, int]:
    return features.shape[-2], features.shape[-1]
