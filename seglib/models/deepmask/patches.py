"""Training patches for a network that judges windows: cut around objects, and away from them.

DeepMask, section 3.1: half of the patches show an object in canonical position, jittered within
the tolerance and mirrored half of the time; the others show none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Literal

import torch
from torch import Generator, Tensor

from seglib.models.deepmask.canonical import canonical_windows, far_from_objects, window_labels
from seglib.models.deepmask.windows import crop_windows
from seglib.ops.boxes import cxcywh_to_xyxy
from seglib.structures import Target

GREY = 0.5  # what lies beyond the picture
TRIES = 16  # candidates for each negative wanted

NegativeRule = Literal["paper", "released"]


@dataclass(frozen=True)
class PatchRules:
    """What a training patch is. Lengths are in patch pixels unless they say otherwise.

    Attributes:
        patch: side of the window that is judged.
        context: more of the image on every side, for the network to see.
        mask_side: side of the mask that is the target.
        shift: tolerance of the position, 16 of 224.
        octaves: smallest and largest log2 of the factor that brings an image of usual size to a
            window.
        min_area: px² of the image at its usual size; smaller objects are not taught.
        min_side: px of the same; so are objects whose box is narrower.
        positive_share: of the patches that shows an object.
        negatives: "paper" (see `window_labels`) or "released" (see `far_from_objects`).
        image_size: longer side of images at their usual size, octave 0; None keeps each image's.
    """

    patch: int
    context: int
    mask_side: int
    shift: float
    octaves: tuple[float, float]
    min_area: float
    min_side: float
    positive_share: float = 0.5
    negatives: NegativeRule = "paper"
    image_size: int | None = None

    def usual_factor(self, size: tuple[int, int]) -> float:
        """By what an image of (H, W) is resized at octave 0."""
        return 1.0 if self.image_size is None else self.image_size / max(size)

    @property
    def window(self) -> int:
        """Side of what is cut out."""
        return self.patch + 2 * self.context


@dataclass(eq=False)
class Patches:
    """A batch of training patches.

    Attributes:
        images: float [P, 3, window, window] in 0…1, not yet normalised.
        masks: float [P, mask_side, mask_side], covered fractions in 0…1; zeros for negatives.
        labels: int64 [P], 1 for an object in canonical position, -1 for none.
        windows: [P, 4] of the patch without context, in pixels of its image.
    """

    images: Tensor
    masks: Tensor
    labels: Tensor
    windows: Tensor

    @classmethod
    def cat(cls, parts: list[Patches]) -> Patches:
        """Several images' patches in one batch."""
        names = ("images", "masks", "labels", "windows")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def sample_patches(
    image: Tensor, target: Target, rules: PatchRules, count: int, generator: Generator
) -> Patches:
    """Draw patches of one image: a share with an object, if it has any, the others without.

    First a class is drawn, then an object of it, so that rare classes are seen as often.

    Args:
        image: float [3, H, W] in 0…1.
        target: its objects; crowds are neither taught nor avoided.
        rules: see `PatchRules`.
        count: how many patches; an image without objects gives the negatives alone, and one
            that is all objects may give fewer of those.
        generator: on the CPU; all chance comes from it.
    """
    objects: Target = target[~target.iscrowd]
    sides = (objects.boxes[:, 2:] - objects.boxes[:, :2]).amin(dim=1)
    factor = rules.usual_factor((image.shape[-2], image.shape[-1]))
    large = (objects.area * factor**2 >= rules.min_area) & (sides * factor >= rules.min_side)
    taught = objects[large]
    positives = round(rules.positive_share * count)
    parts = [_negatives(image, objects.boxes, rules, count - positives, generator)]
    if len(taught) and positives:
        parts.append(_positives(image, taught, rules, positives, generator))
    return Patches.cat(parts)


def _positives(
    image: Tensor, objects: Target, rules: PatchRules, count: int, generator: Generator
) -> Patches:
    """Objects in canonical position, jittered, half of them mirrored."""
    frequency = objects.labels.bincount()[objects.labels]
    chosen = torch.multinomial(1 / frequency.float(), count, replacement=True, generator=generator)
    chance = torch.rand(count, 3, generator=generator).to(image.device)
    mirrored = (torch.rand(count, generator=generator) < 0.5).to(image.device)
    boxes, shift = objects.boxes[chosen].to(image), rules.shift
    windows = canonical_windows(boxes, rules.patch, shift, None, chance)
    wide = canonical_windows(boxes, rules.patch, shift, rules.window, chance)
    images = crop_windows(image, wide, rules.window, GREY)
    masks = objects.masks[chosen][:, None].to(image)
    masks = crop_windows(masks, windows, rules.mask_side)[:, 0]
    images[mirrored], masks[mirrored] = images[mirrored].flip(-1), masks[mirrored].flip(-1)
    return Patches(images, masks, windows.new_ones(count, dtype=torch.int64), windows)


def _negatives(
    image: Tensor, boxes: Tensor, rules: PatchRules, count: int, generator: Generator
) -> Patches:
    """Windows anywhere, at any of the scales evenly, that hold no object canonically."""
    height, width = image.shape[-2:]
    chance = torch.rand(TRIES * count, 3, generator=generator).to(image)
    low, high = rules.octaves
    octaves = low + (high - low) * chance[:, 0] + log2(rules.usual_factor((height, width)))
    scale = torch.exp2(octaves)[:, None]
    center = chance[:, 1:] * chance.new_tensor([width, height])
    side = (rules.patch / scale).expand(-1, 2)
    windows = cxcywh_to_xyxy(torch.cat([center, side], dim=1))
    boxes = boxes.to(windows)
    if rules.negatives == "paper":
        fine = (window_labels(windows, boxes, rules.patch, rules.shift) < 0).all(dim=1)
    else:
        fine = far_from_objects(center * scale, octaves, boxes, rules.patch, rules.shift)
    windows = windows[fine][:count]
    margin = rules.context / rules.patch * (windows[:, 2:] - windows[:, :2])
    wide = torch.cat([windows[:, :2] - margin, windows[:, 2:] + margin], dim=1)
    images = crop_windows(image, wide, rules.window, GREY)
    masks = images.new_zeros(len(windows), rules.mask_side, rules.mask_side)
    return Patches(images, masks, windows.new_full((len(windows),), -1, dtype=torch.int64), windows)
