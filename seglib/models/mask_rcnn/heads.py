"""The second stage: read the pyramid inside each proposal, name it, correct it, cut it out.

    proposals -> RoIAlign 7x7   -> fc6 -> fc7 -> class logits [R, K], deltas [R, K, 4]
    boxes     -> RoIAlign 14x14 -> 3x3 convs -> x2 transposed conv -> masks [P, K, 28, 28]

Box head: Fast R-CNN (Girshick 2015) in FPN's form (Lin et al. 2017, section 4.2); mask head: Mask
R-CNN (He et al. 2017, section 3). Layers bear torchvision's names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.models.mask_rcnn.levels import assign_levels
from seglib.nn.layers import Conv2d, ConvTranspose2d
from seglib.ops.precision import at_least_float32
from seglib.ops.roi_align import roi_align
from seglib.ops.roi_pool import roi_pool

Pooling = Literal["align", "pool"]


class PyramidPooler(nn.Module):
    """Read boxes of all images and sizes out of the pyramid, each from the level of its size.

    Args:
        size: bins along each side.
        strides: of the levels, finest first, consecutive powers of two.
        canonical_size: side in pixels of the box that reads the level of stride 16.
        sampling_ratio: samples a bin and axis, 0 for as many as cells; see `roi_align`.
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

    def forward(self, pyramid: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Pyramid [B, F, H_l, W_l] (levels beyond the strides are left out), [n_b, 4] boxes of
        every image in pixels -> [sum of n_b, F, size, size], image after image.
        """
        corners = torch.cat(list(boxes))
        counts = torch.tensor([len(b) for b in boxes], device=corners.device)
        image = torch.arange(len(boxes), device=corners.device).repeat_interleave(counts)
        rois = torch.cat([image[:, None].to(corners), corners], dim=1)  # [R, 5]
        first = self.strides[0].bit_length() - 1  # the level's number is log2 of its stride
        levels = assign_levels(corners, first, first + len(self.strides) - 1, self.canonical_size)
        pooled, members = [], []
        for level, stride in enumerate(self.strides):
            members.append((levels == level).nonzero().squeeze(1))
            pooled.append(self._read(pyramid[level], rois[members[-1]], 1 / stride))
        return cast(Tensor, _Merged.apply(members, *pooled))

    def _read(self, features: Tensor, rois: Tensor, scale: float) -> Tensor:
        if self.pooling == "pool":
            return roi_pool(features, rois, self.size, scale)
        return roi_align(features, rois, self.size, scale, self.sampling_ratio, self.aligned)


class _Merged(torch.autograd.Function):
    """Rows of several tensors in one, out[members[i]] = parts[i].

    Pooled features are the largest tensors of a step: each row is written once, and read once on
    the way back, where concatenating and sorting would move it twice.
    """

    @staticmethod
    def forward(ctx: Any, members: list[Tensor], *parts: Tensor) -> Tensor:
        """int64 [n_i] rows, [n_i, C, P, Q] each -> [sum of n_i, C, P, Q], formatted as they are."""
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
        """Each part's own rows."""
        last = _channels_last(gradient)
        dense = gradient.contiguous(memory_format=_format(last))
        shape = dense.permute(0, 2, 3, 1).shape if last else dense.shape
        parts = [_rows(dense)[index].unflatten(1, shape[1:]) for index in ctx.members]
        return None, *(part.permute(0, 3, 1, 2) if last else part for part in parts)


def _channels_last(x: Tensor) -> bool:
    """Whether the channels of [N, C, P, Q] lie beside one another in memory."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _format(last: bool) -> torch.memory_format:
    return torch.channels_last if last else torch.contiguous_format


def _rows(x: Tensor) -> Tensor:
    """[N, C, P, Q] of either format as [N, C·P·Q] in the order of memory."""
    return (x.permute(0, 2, 3, 1) if _channels_last(x) else x).flatten(1)


class BoxHead(nn.Module):
    """Two fully connected layers, then a class and a correction for each box.

    Args:
        in_features: numbers a pooled box has, channels times bins.
        hidden: width of both layers.
        classes: K = C + 1, background first.
        class_agnostic: one correction for all classes instead of one for each.
    """

    def __init__(
        self, in_features: int, hidden: int, classes: int, class_agnostic: bool = False
    ) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_features, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.cls_score = nn.Linear(hidden, classes)
        self.bbox_pred = nn.Linear(hidden, 4 * (1 if class_agnostic else classes))
        for layer, spread in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=spread)
        for fully_connected in (self.fc6, self.fc7):
            nn.init.kaiming_uniform_(fully_connected.weight, a=1)
        for layer in (self.fc6, self.fc7, self.cls_score, self.bbox_pred):
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """[R, F, P, P] -> class logits [R, K] and deltas [R, K, 4] (class-agnostic [R, 1, 4])."""
        hidden = F.relu(self._flat_fc6(pooled), inplace=True)
        hidden = F.relu(self.fc7(hidden), inplace=True)
        deltas = self.bbox_pred(hidden).unflatten(1, (-1, 4))
        return at_least_float32(self.cls_score(hidden)), at_least_float32(deltas)

    def _flat_fc6(self, pooled: Tensor) -> Tensor:
        """fc6 of the flattened features. The smaller of features and weights changes its layout."""
        weight = self.fc6.weight
        if not _channels_last(pooled) or len(pooled) < len(weight):
            return cast(Tensor, self.fc6(pooled.flatten(1)))
        by_cell = weight.unflatten(1, (pooled.shape[1], -1)).transpose(1, 2).flatten(1)
        return F.linear(_rows(pooled), by_cell, self.fc6.bias)


class MaskHead(nn.Module):
    """A small fully convolutional network on every box: where in it is the object?

    Convolutions keep the place of every pixel, which fully connected layers would have to learn.

    Args:
        in_channels: of the pyramid.
        width: channels of all layers.
        convolutions: 3x3 layers before the upsampling; 4 in the paper.
        classes: K = C + 1; channel 0 belongs to background and is not trained (unless masks
            compete, see `ops.rcnn_losses.softmax_mask_loss`).
    """

    def __init__(self, in_channels: int, width: int, convolutions: int, classes: int) -> None:
        super().__init__()
        inputs = [in_channels] + [width] * (convolutions - 1)
        self.convs = nn.ModuleList(Conv2d(c, width, kernel_size=3, padding=1) for c in inputs)
        self.conv5_mask = ConvTranspose2d(width, width, kernel_size=2, stride=2)
        self.mask_fcn_logits = Conv2d(width, classes, kernel_size=1)
        for layer in (*self.convs, self.conv5_mask, self.mask_fcn_logits):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """[P, F, S, S] -> logits [P, K, 2S, 2S]."""
        hidden = pooled
        for convolution in self.convs:
            hidden = F.relu(convolution(hidden), inplace=True)
        # Not in place: the upsampled map is a view, for which autograd would copy it all again.
        hidden = F.relu(self.conv5_mask(hidden))
        return at_least_float32(self.mask_fcn_logits(hidden))
