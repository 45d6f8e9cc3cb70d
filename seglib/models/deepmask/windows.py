"""DeepMask's windows: their positions, their labels for an object, and their content.

Pinheiro et al. 2015 (arXiv 1506.06204), section 3.1. A window fits an object whose centre is its
own and whose longer side is 4/7 of its side (128 of 224 px). Within a small tolerance it is
positive, far off it is negative, and in between it is not used. Lengths in "patch pixels" count
in the window once it is resized to the patch that the network sees, not in the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh

SCALE_STEP = 0.25  # octaves: the tolerance in size, and the released code's bins


def sliding_windows(
    size: tuple[int, int], resized: tuple[int, int], patch: int, stride: int
) -> Tensor:
    """The windows of a network that slides over a resized image padded by half a patch.

    Args:
        size: (H, W) of the image; the windows are in its pixels.
        resized: (h, w) that the network sees, without the padding.
        patch: side of its window.
        stride: from one window to the next.

    Returns:
        float32 [h // stride + 1, w // stride + 1, 4] corners; cell (i, j) is centred at
        (stride * j, stride * i) of the resized image.
    """
    factor = torch.tensor([size[1] / resized[1], size[0] / resized[0]])  # x, y
    y, x = (torch.arange(side // stride + 1) * float(stride) for side in resized)
    center = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)  # [h', w', (x, y)]
    return torch.cat([(center - patch / 2) * factor, (center + patch / 2) * factor], dim=-1)


def octaves_above(longer: Tensor, patch: int) -> Tensor:
    """How many octaves longer objects are than a canonical one: 128 px of 224, rounded up.

    Args:
        longer: [...] longer sides, in pixels of an image or of a patch.
        patch: side of the patch.

    Returns:
        [...]; where it is 1, the image must be halved.
    """
    return torch.log2(longer / -(-patch * 128 // 224))


def canonical_windows(
    boxes: Tensor, patch: int, shift: float, window: int | None = None, chance: Tensor | None = None
) -> Tensor:
    """The square around each object that shows it in canonical position, or nearly so.

    Args:
        boxes: [N, 4] corners in pixels.
        patch: side of the patch.
        shift: largest displacement to each side in patch pixels (16 of 224).
        window: side of the crop in patch pixels: more than `patch` if the network gets context
            around it; None means `patch`.
        chance: [N, 3] in 0…1, spreads the windows evenly over their tolerance: in scale (within a
            quarter octave), x, y. None is the canonical position itself.

    Returns:
        [N, 4] corners in pixels of the image; they may reach beyond it.
    """
    jitter = torch.zeros_like(boxes[:, :3]) if chance is None else 2 * chance - 1  # -1…1
    thing = xyxy_to_cxcywh(boxes)  # [N, 4]
    octaves = octaves_above(thing[:, 2:].amax(dim=1), patch) + jitter[:, 0] * SCALE_STEP  # [N]
    factor = torch.exp2(octaves)[:, None]  # [N, 1] image pixels per patch pixel
    center = thing[:, :2] + jitter[:, 1:] * shift * factor  # [N, 2]
    side = factor * (patch if window is None else window)  # [N, 1]
    return cxcywh_to_xyxy(torch.cat([center, side, side], dim=1))


def window_labels(windows: Tensor, boxes: Tensor, patch: int, shift: float) -> Tensor:
    """The paper's label of every window for every object.

    Args:
        windows: [K, 4] corners in pixels.
        boxes: [N, 4] of the objects.
        patch: side of the patch that a window becomes.
        shift: tolerance in patch pixels.

    Returns:
        int64 [K, N]: 1 positive, -1 negative, 0 not used; see `canonical_labels`.
    """
    window, thing = xyxy_to_cxcywh(windows)[:, None], xyxy_to_cxcywh(boxes)[None]  # [K, 1], [1, N]
    factor = window[..., 2:].prod(-1).sqrt() / patch  # [K, 1] image pixels per patch pixel
    offset = (thing[..., :2] - window[..., :2]) / factor[..., None]  # [K, N, 2] patch pixels
    longer = thing[..., 2:].amax(-1) / factor  # [K, N] patch pixels
    return canonical_labels(offset, octaves_above(longer, patch), shift)


def canonical_labels(offset: Tensor, log2_ratio: Tensor, shift: float = 16.0) -> Tensor:
    """Positive, negative or neither, from an object's distance to its canonical position.

    Positive: at most `shift` off in x and y, and a quarter octave in size. Negative: more than
    twice `shift` off in x or y, or more than an octave in size.

    Args:
        offset: [..., 2] patch pixels.
        log2_ratio: [...] octaves.
        shift: 16 for a patch of 224 px.

    Returns:
        int64 [...], 1, -1 or 0.
    """
    distance, octaves = offset.abs().amax(-1), log2_ratio.abs()
    positive = (distance <= shift) & (octaves <= SCALE_STEP)
    negative = (distance > 2 * shift) | (octaves > 4 * SCALE_STEP)
    return positive.long() - negative.long()


def crop_windows(image: Tensor, windows: Tensor, size: int, fill: float = 0.0) -> Tensor:
    """Cut windows out and resize each to a square of `size` px, with antialiasing.

    The same numbers as resizing the whole image with antialiasing, adding a border of `fill`
    and cutting there: every output pixel averages the image's pixels under a tent as wide as
    the scale, at least two pixels. Rows first, then columns, two matrix products.

    Args:
        image: float [C, H, W], one for all windows; or [N, C, H, W], one per window.
        windows: [N, 4] corners in pixels; they may reach beyond the image.
        size: side S.
        fill: value of pixels outside the image.

    Returns:
        [N, C, S, S] of the image's dtype.

    Raises:
        SeglibError: another shape.
    """
    if windows.ndim != 2 or windows.shape[1] != 4 or image.ndim not in (3, 4):
        raise SeglibError(
            "crop_windows needs an image [C, H, W] or [N, C, H, W] and windows [N, 4], got "
            f"{list(image.shape)} and {list(windows.shape)}"
        )
    height, width = image.shape[-2:]
    x0, y0, x1, y1 = windows.cpu().double().unbind(1)  # on the CPU: not every device has float64
    rows = _tents(y0, y1, size, height).to(image)[:, None]  # [N, 1, S, H]
    columns = _tents(x0, x1, size, width).to(image)[:, None]  # [N, 1, S, W]
    strips = torch.matmul(rows, image - fill)  # [N, C, S, W]
    return torch.matmul(strips, columns.transpose(-1, -2)) + fill  # [N, C, S, S]


def _tents(start: Tensor, end: Tensor, size: int, length: int) -> Tensor:
    """[N, size, length] weights of an axis's pixels; rows of zeros for places beyond the image."""
    step = ((end - start) / size)[:, None]  # [N, 1] image pixels per output pixel
    place = start[:, None] + (torch.arange(size) + 0.5) * step  # [N, S]
    middle = torch.arange(length) + 0.5  # [length]
    reach = step.clamp(min=1.0)[..., None]  # [N, 1, 1]
    weights = (1 - (place[..., None] - middle).abs() / reach).clamp(min=0)  # [N, S, length]
    inside = (place >= 0) & (place < length)
    total = weights.sum(-1, keepdim=True).clamp(min=1e-12)
    return weights / total * inside[..., None]
