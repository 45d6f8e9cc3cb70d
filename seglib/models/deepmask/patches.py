"""Training patches: windows cut around objects, and away from them.

Pinheiro et al. 2015 (arXiv 1506.06204), section 3.1: half of the patches show an object in
canonical position, jittered within the tolerance and mirrored half of the time; the others show
none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import torch
from torch import Generator, Tensor

from seglib.models.deepmask.config import DeepMaskConfig
from seglib.models.deepmask.windows import (
    SCALE_STEP,
    canonical_windows,
    crop_windows,
    octaves_above,
    window_labels,
)
from seglib.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from seglib.structures import Target

GREY = 0.5  # the value of pixels outside the image
CANDIDATES = 16  # windows tried for each negative patch
SAME_SCALE = 2.5  # octaves; the released code's negatives ignore objects that differ more in scale


@dataclass(eq=False)
class Patches:
    """A batch of training patches.

    Attributes:
        images: float [P, 3, S, S] in 0…1, not yet normalised; S is `DeepMaskConfig.window`.
        masks: float [P, T, T], covered fractions in 0…1; zeros for negatives.
        labels: int64 [P], 1 for an object in canonical position, -1 for none.
        windows: [P, 4] corners of the patches without context, in pixels of their images.
    """

    images: Tensor
    masks: Tensor
    labels: Tensor
    windows: Tensor

    @classmethod
    def cat(cls, parts: list[Patches]) -> Patches:
        """The patches of several images in one batch."""
        names = ("images", "masks", "labels", "windows")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def sample_patches(
    image: Tensor, target: Target, config: DeepMaskConfig, count: int, generator: Generator
) -> Patches:
    """Sample patches of one image: a share with an object, if it has any, the others without.

    Args:
        image: float [3, H, W] in 0…1.
        target: the image's objects; crowds are neither sampled nor avoided.
        config: contains lengths and rules.
        count: number of patches. An image without objects gives only its negatives, and an image
            full of objects may give fewer of those.
        generator: random numbers, on the CPU.
    """
    objects: Target = target[~target.iscrowd]
    learned = objects[large_enough(objects, (image.shape[-2], image.shape[-1]), config)]
    positives = round(config.positive_share * count)
    parts = [_negatives(image, objects.boxes, config, count - positives, generator)]
    if len(learned) and positives:
        parts.append(_positives(image, learned, config, positives, generator))
    return Patches.cat(parts)


def large_enough(objects: Target, size: tuple[int, int], config: DeepMaskConfig) -> Tensor:
    """bool [N]: the objects that are not too small to be sampled in an image of (H, W)."""
    sides = (objects.boxes[:, 2:] - objects.boxes[:, :2]).amin(dim=1)  # [N]
    scale = config.base_scale(size)
    return (objects.area * scale**2 >= config.min_area) & (sides * scale >= config.min_side)


def _positives(
    image: Tensor, objects: Target, config: DeepMaskConfig, count: int, generator: Generator
) -> Patches:
    """Objects in canonical position, jittered, half of them mirrored.

    A class is sampled first, then one of its objects, so that rare classes are seen as often as
    common ones.
    """
    labels = objects.labels.cpu()  # as the generator
    _, classes, counts = labels.unique(return_inverse=True, return_counts=True)
    frequency = counts[classes]  # [N] objects of the same class
    chosen = torch.multinomial(1 / frequency.float(), count, replacement=True, generator=generator)
    chosen = chosen.to(objects.labels.device)  # [count]
    chance = torch.rand(count, 3, generator=generator).to(image.device)
    mirrored = (torch.rand(count, generator=generator) < 0.5).to(image.device)
    boxes = objects.boxes[chosen].to(image)
    masks = objects.masks[chosen][:, None].to(image)  # [count, 1, H, W]
    windows = canonical_windows(boxes, config.patch, config.shift, None, chance)
    wide = canonical_windows(boxes, config.patch, config.shift, config.window, chance)
    images = crop_windows(image, wide, config.window, GREY)  # [count, 3, S, S]
    masks = crop_windows(masks, windows, config.mask_target)[:, 0]  # [count, T, T]
    images[mirrored], masks[mirrored] = images[mirrored].flip(-1), masks[mirrored].flip(-1)
    return Patches(images, masks, windows.new_ones(count, dtype=torch.int64), windows)


def _negatives(
    image: Tensor, boxes: Tensor, config: DeepMaskConfig, count: int, generator: Generator
) -> Patches:
    """Windows at random places and scales that show no object canonically."""
    size = (image.shape[-2], image.shape[-1])
    chance = torch.rand(CANDIDATES * count, 3, generator=generator).to(image)
    low, high = config.octaves
    octaves = low + (high - low) * chance[:, 0] + log2(config.base_scale(size))  # [K]
    scale = torch.exp2(octaves)[:, None]  # [K, 1]
    center = chance[:, 1:] * chance.new_tensor([size[1], size[0]])  # [K, 2]
    side = (config.patch / scale).expand(-1, 2)  # [K, 2]
    windows = cxcywh_to_xyxy(torch.cat([center, side], dim=1))  # [K, 4]
    boxes = boxes.to(windows)
    if config.negatives == "paper":
        far = (window_labels(windows, boxes, config.patch, config.shift) < 0).all(dim=1)
    else:
        far = far_from_objects(center * scale, octaves, boxes, config.patch, config.shift)
    windows = windows[far][:count]
    wide = with_context(windows, config)
    images = crop_windows(image, wide, config.window, GREY)  # [count or fewer, 3, S, S]
    masks = images.new_zeros(len(windows), config.mask_target, config.mask_target)
    return Patches(images, masks, windows.new_full((len(windows),), -1, dtype=torch.int64), windows)


def with_context(windows: Tensor, config: DeepMaskConfig) -> Tensor:
    """[K, 4] windows, enlarged by the context that the backbone sees around the patch."""
    margin = config.context / config.patch * (windows[:, 2:] - windows[:, :2])  # [K, 2]
    return torch.cat([windows[:, :2] - margin, windows[:, 2:] + margin], dim=1)


def scale_bins(boxes: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """How the released code stores each object: a bin of scale, and the centre at that scale.

    Args:
        boxes: [N, 4] corners in pixels.
        patch: side of the patch.

    Returns:
        [N] log2 of the factor by which the image is resized to bring the object to size, in
        quarter octaves; and [N, 2] its centre in that resized image.
    """
    centered = xyxy_to_cxcywh(boxes)  # [N, 4]
    # The smallest whole s with longer side <= canonical side * 2^((s + 1) / 4).
    bins = torch.ceil(octaves_above(centered[:, 2:].amax(dim=1), patch) / SCALE_STEP - 1)  # [N]
    log2_scale = -SCALE_STEP * bins
    return log2_scale, centered[:, :2] * torch.exp2(log2_scale)[:, None]


def far_from_objects(
    places: Tensor, log2_scales: Tensor, boxes: Tensor, patch: int, shift: float
) -> Tensor:
    """Which places are negative in the released code: those near no object of a similar scale.

    An object whose bin is at most 2.5 octaves away excludes windows closer than 3 x shift to its
    centre. As in the released code, and unlike in the paper, the coordinates are compared directly,
    although each belongs to an image resized to its own scale.

    Args:
        places: [K, 2] centres in the resized image.
        log2_scales: [K] log2 of the factors by which the image is resized.
        boxes: [N, 4] corners of the objects, in pixels of the image.
        patch: side of the patch.
        shift: tolerance of positives in patch pixels.

    Returns:
        bool [K].
    """
    own_scale, centers = scale_bins(boxes, patch)
    similar = (log2_scales[:, None] - own_scale[None]).abs() <= SAME_SCALE  # [K, N]
    near = (places[:, None] - centers[None]).norm(dim=-1) < 3 * shift  # [K, N]
    return ~(similar & near).any(dim=1)
