"""DeepMask's windows: their positions, their labels for an object, and their content.

Pinheiro et al. 2015 (arXiv 1506.06204), section 3.1. A window shows an object in canonical position
if their centres coincide and the object's longer side is 4/7 of the window's side (128 of 224 px).
Within a small tolerance of this, a window is positive; far from it, negative; in between, unused.
"Patch pixels" are those of the window once it is resized to the patch that the network sees.
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
        resized: (h, w) of the image that the network sees, without the padding.
        patch: side of the window, in pixels of the resized image.
        stride: distance from one window to the next, in pixels of the resized image.

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
        [...] octaves; 1 means that the image must be halved.
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
        window: side of the crop in patch pixels: more than `patch` if the network sees context
            around it; None means `patch`.
        chance: [N, 3] random numbers in 0…1, which place the windows evenly within their tolerance
            in scale (a quarter octave), x and y; None means the canonical position itself.

    Returns:
        [N, 4] corners in pixels of the image; they may reach beyond it.
    """
    jitter = torch.zeros_like(boxes[:, :3]) if chance is None else 2 * chance - 1  # -1…1
    centered = xyxy_to_cxcywh(boxes)  # [N, 4]
    octaves = octaves_above(centered[:, 2:].amax(dim=1), patch) + jitter[:, 0] * SCALE_STEP  # [N]
    factor = torch.exp2(octaves)[:, None]  # [N, 1] image pixels per patch pixel
    center = centered[:, :2] + jitter[:, 1:] * shift * factor  # [N, 2]
    side = factor * (patch if window is None else window)  # [N, 1]
    return cxcywh_to_xyxy(torch.cat([center, side, side], dim=1))


def window_labels(windows: Tensor, boxes: Tensor, patch: int, shift: float) -> Tensor:
    """The paper's label of every window for every object.

    Args:
        windows: [K, 4] corners in pixels.
        boxes: [N, 4] corners of the objects in pixels.
        patch: side of the patch to which a window is resized.
        shift: tolerance in patch pixels.

    Returns:
        int64 [K, N]: 1 positive, -1 negative, 0 not used; see `canonical_labels`.
    """
    window, box = xyxy_to_cxcywh(windows)[:, None], xyxy_to_cxcywh(boxes)[None]  # [K, 1], [1, N]
    factor = window[..., 2:].prod(-1).sqrt() / patch  # [K, 1] image pixels per patch pixel
    offset = (box[..., :2] - window[..., :2]) / factor[..., None]  # [K, N, 2] patch pixels
    longer = box[..., 2:].amax(-1) / factor  # [K, N] patch pixels
    return canonical_labels(offset, octaves_above(longer, patch), shift)


def canonical_labels(offset: Tensor, log2_ratio: Tensor, shift: float = 16.0) -> Tensor:
    """Positive, negative or neither, by how far an object is from its canonical position.

    A positive deviates by at most `shift` in x and y, and by a quarter octave in size. A negative
    deviates by more than twice `shift` in x or y, or by more than an octave in size.

    Args:
        offset: [..., 2] deviation in x and y, in patch pixels.
        log2_ratio: [...] deviation in size, in octaves.
        shift: tolerance in patch pixels; 16 for a patch of 224 px.

    Returns:
        int64 [...], 1, -1 or 0.
    """
    distance, octaves = offset.abs().amax(-1), log2_ratio.abs()
    positive = (distance <= shift) & (octaves <= SCALE_STEP)
    negative = (distance > 2 * shift) | (octaves > 4 * SCALE_STEP)
    return positive.long() - negative.long()


def crop_windows(image: Tensor, windows: Tensor, size: int, fill: float = 0.0) -> Tensor:
    """Cut windows out and resize each to a square of `size` px, with antialiasing.

    The result equals resizing the whole image with antialiasing, adding a border of `fill` and
    cutting there: every output pixel is the mean of the image's pixels under a triangular filter,
    whose width follows the scale but is at least two pixels. It takes two matrix products, one for
    the rows and one for the columns.

    Args:
        image: float [C, H, W], one for all windows; or [N, C, H, W], one per window.
        windows: [N, 4] corners in pixels; they may reach beyond the image.
        size: S, side of the squares.
        fill: value of pixels outside the image.

    Returns:
        [N, C, S, S] of the image's dtype.

    Raises:
        SeglibError: the image or the windows have another shape.
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
    """Weights [N, size, length] of the pixels along an axis; zero for places beyond the image."""
    step = ((end - start) / size)[:, None]  # [N, 1] image pixels per output pixel
    place = start[:, None] + (torch.arange(size) + 0.5) * step  # [N, S]
    middle = torch.arange(length) + 0.5  # [length]
    reach = step.clamp(min=1.0)[..., None]  # [N, 1, 1]
    weights = (1 - (place[..., None] - middle).abs() / reach).clamp(min=0)  # [N, S, length]
    inside = (place >= 0) & (place < length)
    total = weights.sum(-1, keepdim=True).clamp(min=1e-12)
    return weights / total * inside[..., None]
