"""What a form of output loses: the truth reduced to a coarse grid and restored from it.

A network with outputs of stride 8 cannot represent an outline more finely than that, however well
it is trained. The ceilings of `seglib.metrics.ceilings` are the scores of these reconstructions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.mask_paste import crop_resize_masks, paste_masks
from seglib.ops.masks import masks_to_boxes
from seglib.structures import IGNORE


def labels_at_stride(labels: Tensor, stride: int) -> Tensor:
    """A label map reduced to a grid and restored: one-hot, averaged over cells, upsampled, arg-max.

    Args:
        labels: int64 [H, W], of any size; the last cells may be cut off. Pixels of 255 are ignored:
            a cell averages over its other pixels.
        stride: side of a cell in pixels.

    Returns:
        int64 [H, W].
    """
    present, one_hot = one_hot_labels(labels)
    return present[shares_at_stride(one_hot, stride).argmax(dim=0)]


def one_hot_labels(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Label map int64 [H, W] -> the labels present [K], and float [K, H, W], 0 where ignored (255).

    If all pixels are ignored, the only label is background.
    """
    present = labels[labels != IGNORE].unique()
    if len(present) == 0:
        present = labels.new_zeros(1)
    return present, (labels == present[:, None, None]).float()  # [K], [K, H, W]


def shares_at_stride(one_hot: Tensor, stride: int) -> Tensor:
    """Each label's share of a cell, upsampled like a network's logits.

    Args:
        one_hot: float [K, H, W], see `one_hot_labels`.
        stride: side of a cell in pixels.

    Returns:
        float [K, H, W].
    """
    share = _pool(one_hot, stride)  # [K, h, w]
    share = share / share.sum(dim=0).clamp(min=1e-6)  # cells of ignored pixels stay 0
    return _enlarge(share, stride, one_hot.shape[-2:])  # [K, H, W]


def masks_at_stride(masks: Tensor, stride: int) -> Tensor:
    """Masks reduced to a grid and restored: averaged over cells, upsampled, thresholded at 1/2.

    Args:
        masks: bool [N, H, W].
        stride: side of a cell in pixels.

    Returns:
        bool [N, H, W].
    """
    return soft_masks_at_stride(masks.float(), stride) >= 0.5


def soft_masks_at_stride(masks: Tensor, stride: int) -> Tensor:
    """Average masks float [N, H, W] over cells and upsample them to their size."""
    return _enlarge(_pool(masks, stride), stride, masks.shape[-2:])


def masks_seen_at_stride(masks: Tensor, resize: Callable[[Tensor], Tensor], stride: int) -> Tensor:
    """`masks_at_stride` for a network that resizes its images: bool [N, H, W] -> the same shape.

    Args:
        masks: bool [N, H, W] at the image's own size.
        resize: resizes float [C, H, W] for the network, such as `Segmenter.resize`.
        stride: side of a cell in pixels of the resized image.
    """
    if len(masks) == 0:
        return masks
    seen = masks_at_stride(resize(masks.float()) >= 0.5, stride)  # [N, h, w]
    if seen.shape == masks.shape:
        return seen
    return F.interpolate(seen[None].float(), size=masks.shape[-2:], mode="nearest")[0] > 0


def masks_in_rois(masks: Tensor, size: int = 28) -> Tensor:
    """Masks reduced to a grid of size x size cells over their own boxes, and restored.

    The cells are covered fractions; masks are cropped and pasted as in Mask R-CNN.

    Args:
        masks: bool [N, H, W].
        size: number of cells along each side, for boxes of any size.

    Returns:
        bool [N, H, W], False outside the box.
    """
    boxes = masks_to_boxes(masks)
    cells = crop_resize_masks(masks, boxes, size, threshold=None)  # [N, size, size]
    return paste_masks(cells, boxes, (masks.shape[-2], masks.shape[-1]))  # [N, H, W]


def _pool(maps: Tensor, stride: int) -> Tensor:
    """[K, H, W] -> [K, ⌈H / stride⌉, ⌈W / stride⌉]; cells at the border may be smaller."""
    if stride < 1:
        raise SeglibError(f"a stride is at least 1, not {stride}")
    return F.avg_pool2d(maps[:, None], stride, ceil_mode=True, count_include_pad=False)[:, 0]


def _enlarge(maps: Tensor, stride: int, size: torch.Size) -> Tensor:
    """[K, h, w] -> [K, H, W], bilinear; the last cells are cut back to the size."""
    large = F.interpolate(maps[:, None], scale_factor=stride, mode="bilinear", align_corners=False)
    return large[:, 0, : size[0], : size[1]]
