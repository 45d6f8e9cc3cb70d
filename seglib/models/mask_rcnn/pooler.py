"""Pool the features in boxes of all sizes, each from one level of a pyramid (Lin et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from seglib.models.mask_rcnn.config import MaskRCNNConfig, Pooling
from seglib.ops.boxes import box_area, check_finite
from seglib.ops.roi_align import roi_align
from seglib.ops.roi_pool import roi_pool


class PyramidPooler(nn.Module):
    """Read every box from the level that fits its size, as a grid of size x size bins.

    Args:
        size: P, bins along each side.
        strides: strides of the levels, finest first, consecutive powers of two.
        canonical_size: side in pixels of the box that is read from the level of stride 16.
        sampling_ratio: samples per bin and axis, see `roi_align`.
        aligned: see `roi_align`.
        pooling: "align", or "pool" for the rounding RoIPool that Mask R-CNN replaced.
    """

    def __init__(
        self,
        size: int,
        strides: Sequence[int],
        canonical_size: float,
        sampling_ratio: int,
        aligned: bool,
        pooling: Pooling = "align",
    ) -> None:
        super().__init__()
        self.size, self.strides = size, tuple(strides)
        self.canonical_size = canonical_size
        self.sampling_ratio, self.aligned, self.pooling = sampling_ratio, aligned, pooling

    @classmethod
    def of(cls, config: MaskRCNNConfig, size: int, strides: Sequence[int]) -> PyramidPooler:
        """A pooler of size x size bins with a config's settings."""
        return cls(
            size,
            strides,
            config.canonical_size,
            config.reference.sampling_ratio,
            config.reference.aligned,
            config.pooling,
        )

    def forward(self, pyramid: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Pool the boxes of all images.

        Args:
            pyramid: [B, F, H_l, W_l], finest first; levels beyond the strides are not read.
            boxes: [n_b, 4] of each image, in pixels.

        Returns:
            [R, F, P, P], R the sum of n_b, image after image.

        Raises:
            SeglibError: a box with NaN or infinity.
        """
        corners = torch.cat(list(boxes))  # [R, 4]
        check_finite("PyramidPooler", "boxes", corners)  # those of a diverged cascade are not
        counts = torch.tensor([len(b) for b in boxes], device=corners.device)  # [B]
        image = torch.arange(len(boxes), device=corners.device).repeat_interleave(counts)  # [R]
        rois = torch.cat([image[:, None].to(corners), corners], dim=1)  # [R, 5]
        finest = self.strides[0].bit_length() - 1  # a level's number is log2 of its stride
        coarsest = finest + len(self.strides) - 1
        levels = assign_levels(corners, finest, coarsest, self.canonical_size)  # [R]
        pooled, members = [], []
        for level, stride in enumerate(self.strides):
            members.append((levels == level).nonzero().squeeze(1))  # [n_l]
            pooled.append(self._read(pyramid[level], rois[members[-1]], 1 / stride))
        return cast(Tensor, _Merged.apply(members, *pooled))  # [R, F, P, P]

    def _read(self, features: Tensor, rois: Tensor, scale: float) -> Tensor:
        """[B, F, H, W], [n, 5] -> [n, F, P, P]."""
        if self.pooling == "pool":
            return roi_pool(features, rois, self.size, scale)
        return roi_align(features, rois, self.size, scale, self.sampling_ratio, self.aligned)


def assign_levels(
    boxes: Tensor,
    min_level: int = 2,
    max_level: int = 5,
    canonical_size: float = 224,
    canonical_level: int = 4,
) -> Tensor:
    """Level ⌊k₀ + log₂(√area / s₀)⌋ of each box, within the pyramid (FPN, equation 1).

    Args:
        boxes: [N, 4] finite corners in pixels.
        min_level: number of the finest level, whose stride is 2^min_level.
        max_level: number of the coarsest level.
        canonical_size: s₀, side in pixels of the square that goes to the canonical level: 224 in
            the paper, as in ImageNet, and proportionally less for smaller images.
        canonical_level: k₀.

    Returns:
        int64 [N] in 0…max_level − min_level, an index into the list of maps, finest first.
    """
    side = box_area(boxes).sqrt()  # [N]
    # The epsilon keeps an empty box finite; clamping sends it to the finest level.
    level = canonical_level + torch.log2(side / canonical_size + 1e-8)
    return level.floor().clamp(min_level, max_level).long() - min_level


class _Merged(torch.autograd.Function):
    """The rows of several tensors in one: out[members[i]] = parts[i].

    Pooled features are the largest tensors of a training step. Here each row is copied once in
    either direction; concatenating and sorting would copy it twice.
    """

    @staticmethod
    def forward(ctx: Any, members: list[Tensor], *parts: Tensor) -> Tensor:
        """Rows int64 [n_i] and parts [n_i, C, P, Q] -> [sum of n_i, C, P, Q] in their format."""
        ctx.members = members
        last = any(len(part) and _channels_last(part) for part in parts)
        merged = torch.empty(
            (sum(map(len, parts)), *parts[0].shape[1:]),
            dtype=parts[0].dtype,
            device=parts[0].device,
            memory_format=_format(last),
        )
        rows = _rows(merged)
        for index, part in zip(members, parts, strict=True):
            source = part.contiguous(memory_format=_format(last))
            rows.index_copy_(0, index, _rows(source))
        return merged

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """[sum of n_i, C, P, Q] -> the rows of each part, [n_i, C, P, Q]."""
        last = _channels_last(gradient)
        dense = gradient.contiguous(memory_format=_format(last))
        shape = dense.permute(0, 2, 3, 1).shape if last else dense.shape
        parts = [_rows(dense)[index].unflatten(1, shape[1:]) for index in ctx.members]
        return None, *(part.permute(0, 3, 1, 2) if last else part for part in parts)


def _channels_last(x: Tensor) -> bool:
    """Whether [N, C, P, Q] is in memory format channels_last and not also contiguous."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _format(last: bool) -> torch.memory_format:
    return torch.channels_last if last else torch.contiguous_format


def _rows(x: Tensor) -> Tensor:
    """View [N, C, P, Q] of either memory format as [N, C·P·Q], in the order of memory."""
    return (x.permute(0, 2, 3, 1) if _channels_last(x) else x).flatten(1)
