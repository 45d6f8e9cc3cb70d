"""When does a window hold an object "canonically"? DeepMask's rules for training patches.

Pinheiro et al. 2015 (arXiv 1506.06204), section 3.1. A window is right for an object when the
object lies in its middle and its longer side fills 4/7 of the window (128 of 224 px). Within a
small tolerance the window is positive, far off it is negative, and in between it teaches
nothing. All lengths in "patch pixels" count in the resized window, not in the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh

SCALE_STEP = 0.25  # octaves; the released code's bins
SAME_SCALE = 2.5  # octaves; the released code's negatives mind no object farther off in scale


def object_side(patch: int) -> int:
    """How long an object's longer side is in a canonical patch: 128 px of 224, rounded up."""
    return -(-patch * 128 // 224)


def scale_exponents(boxes: Tensor, patch: int) -> Tensor:
    """How many octaves larger than canonical each object is: 1 means that the image must shrink
    to half its size to bring the object to its place.

    Args:
        boxes: [N, 4] corners in pixels.
        patch: side of the patch.

    Returns:
        [N], log2(longer side / `object_side(patch)`).
    """
    return torch.log2(_longer_side(boxes) / object_side(patch))


def canonical_windows(
    boxes: Tensor, patch: int, shift: float, window: int | None = None, chance: Tensor | None = None
) -> Tensor:
    """The square around each object that shows it in canonical position, or nearly so.

    Args:
        boxes: [N, 4] corners in pixels.
        patch: side of the patch that the rules count in.
        shift: largest displacement to each side in patch pixels (16 of 224).
        window: side of what is cut out, in patch pixels: more than `patch` when the network
            wants to see around it; None is `patch`.
        chance: [N, 3] in 0…1, moves the windows evenly over their tolerance: scale (within a
            quarter octave), x, y. None is the middle, the canonical position itself.

    Returns:
        [N, 4] corners in pixels of the image; they may reach beyond it.
    """
    jitter = torch.zeros_like(boxes[:, :3]) if chance is None else 2 * chance - 1  # -1…1
    factor = torch.exp2(scale_exponents(boxes, patch) + jitter[:, 0] * SCALE_STEP)[:, None]
    middle = xyxy_to_cxcywh(boxes)[:, :2] + jitter[:, 1:] * shift * factor
    side = factor * (patch if window is None else window)
    return cxcywh_to_xyxy(torch.cat([middle, side, side], dim=1))


def window_labels(windows: Tensor, boxes: Tensor, patch: int, shift: float) -> Tensor:
    """What every window is to every object, by the paper's rule.

    Args:
        windows: [K, 4] corners in pixels.
        boxes: [N, 4] of the objects.
        patch: side of the patch that a window becomes.
        shift: tolerance in patch pixels.

    Returns:
        int64 [K, N]: 1 positive, -1 negative, 0 not used; see `canonical_labels`.
    """
    window, thing = xyxy_to_cxcywh(windows)[:, None], xyxy_to_cxcywh(boxes)[None]  # [K, 1], [1, N]
    factor = window[..., 2:].prod(-1).sqrt() / patch  # [K, 1] image pixels a patch pixel
    offset = (thing[..., :2] - window[..., :2]) / factor[..., None]  # [K, N, 2]
    longer = _longer_side(boxes)[None] / factor  # [K, N] patch pixels
    return canonical_labels(offset, torch.log2(longer / object_side(patch)), shift)


def canonical_labels(offset: Tensor, log2_ratio: Tensor, shift: float = 16.0) -> Tensor:
    """Positive, negative or neither, from how far an object is from its canonical position.

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


def scale_bins(boxes: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Where the released code remembers each object: a bin of scale, and a place at that scale.

    Args:
        boxes: [N, 4] corners in pixels.
        patch: side of the patch.

    Returns:
        [N] log2 of the factor by which the image is resized to bring the object to size, in
        quarter octaves; and [N, 2] its centre in that resized image.
    """
    # The smallest whole s with longer side <= object_side * 2^((s + 1) / 4).
    bins = torch.ceil(scale_exponents(boxes, patch) / SCALE_STEP - 1)
    log2_scale = -SCALE_STEP * bins
    return log2_scale, xyxy_to_cxcywh(boxes)[:, :2] * torch.exp2(log2_scale)[:, None]


def far_from_objects(
    places: Tensor, log2_scales: Tensor, boxes: Tensor, patch: int, shift: float
) -> Tensor:
    """Which places make negatives in the released code: those near no object of a like scale.

    An object whose bin is at most 2.5 octaves off forbids what is closer than 3 x shift to its
    centre. The coordinates are compared as they are, each in the image of its own scale: that
    is what the released code does, however odd, and why it differs from the paper.

    Args:
        places: [K, 2] centres in the resized image.
        log2_scales: [K] of the factor of resizing.
        boxes: [N, 4] of the objects, in the image.
        patch: side of the patch.
        shift: positive tolerance in patch pixels.

    Returns:
        bool [K].

    Raises:
        SeglibError: places and scales that do not belong together.
    """
    if places.shape != (len(log2_scales), 2):
        raise SeglibError(
            f"far_from_objects needs [K, 2] places and [K] scales, got {list(places.shape)} and "
            f"{list(log2_scales.shape)}"
        )
    own_scale, centers = scale_bins(boxes, patch)
    like = (log2_scales[:, None] - own_scale[None]).abs() <= SAME_SCALE
    near = (places[:, None] - centers[None]).norm(dim=-1) < 3 * shift
    return ~(like & near).any(dim=1)


def _longer_side(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
