"""Transforms of an image together with its target.

A transform takes (image, target, generator) and returns (image, target); all its randomness comes
from the generator, so the same seed gives the same result. Masks, semantic and panoptic maps are
resampled at the same points, so that they stay consistent. Resizing keeps a target's `truth`, for
evaluations; the transforms for training drop it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import clip_boxes
from seglib.ops.images import scaled_size
from seglib.ops.masks import mask_area, masks_to_boxes
from seglib.structures import IGNORE, Panoptic, Target

Transform = Callable[[Tensor, Target, Generator], tuple[Tensor, Target]]
FILL = 0.5  # grey, outside the image


def resize_sample(image: Tensor, target: Target, size: int) -> tuple[Tensor, Target]:
    """Resize so that the longer side has `size` px.

    The image is resized bilinearly with anti-aliasing, masks and maps by the nearest pixel; boxes
    and areas are scaled. Objects that lose their last pixel are removed; `truth`, which is scaled
    in float64, keeps them.

    Args:
        image: float [3, H, W].
        target: the image's target.
        size: longer side in px.
    """
    if size < 1:
        raise SeglibError(f"images cannot be resized to a longer side of {size} px")
    return _resize(image, target, scaled_size(target.size, size / max(target.size)))


def horizontal_flip(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Mirror left and right."""
    x0, y0, x1, y1 = target.boxes.unbind(1)
    width = target.size[1]
    flipped = _map_pixels(target, lambda pixels, _: pixels.flip(-1))
    boxes = torch.stack([width - x1, y0, width - x0, y1], dim=1)
    return image.flip(-1), replace(flipped, boxes=boxes)


def crop(
    image: Tensor, target: Target, top: int, left: int, size: tuple[int, int]
) -> tuple[Tensor, Target]:
    """Crop a window of (H, W) = `size` at (top, left); outside the image it is grey and ignored.

    An object cut by the window gets the box and the area of its visible part; one without a
    visible part is removed.
    """
    height, width = size

    def window(pixels: Tensor, fill: float) -> Tensor:
        cut = pixels.new_full((*pixels.shape[:-2], height, width), fill)
        y0, x0 = max(top, 0), max(left, 0)
        y1, x1 = min(top + height, pixels.shape[-2]), min(left + width, pixels.shape[-1])
        if y0 < y1 and x0 < x1:
            cut[..., y0 - top : y1 - top, x0 - left : x1 - left] = pixels[..., y0:y1, x0:x1]
        return cut

    result = _map_pixels(target, window)
    boxes = target.boxes - target.boxes.new_tensor([left, top, left, top])
    visible_area = mask_area(result.masks)
    is_cut = visible_area < mask_area(target.masks)
    # A box with fractional corners may extend past the window although its mask does not.
    extends_past = (boxes != clip_boxes(boxes, size)).any(dim=1)
    needs_new_box = is_cut | extends_past
    boxes[needs_new_box] = masks_to_boxes(result.masks[needs_new_box])
    area = torch.where(is_cut, visible_area.float(), target.area)
    result = replace(result, boxes=boxes, area=area, size=size)
    return window(image, FILL), drop_invisible(result)


def drop_invisible(target: Target) -> Target:
    """Remove objects and panoptic segments that have no pixel."""
    visible = mask_area(target.masks) > 0
    kept: Target = target if visible.all() else target[visible]
    if target.panoptic is None:
        return kept
    ids = target.panoptic.ids
    highest = int(ids.max()) if len(ids) else 0
    present = target.panoptic.segment_map.flatten().bincount(minlength=highest + 1)[ids] > 0
    return kept if present.all() else replace(kept, panoptic=target.panoptic[present])


@dataclass(frozen=True)
class Compose:
    """Several transforms, one after another."""

    transforms: Sequence[Transform]

    def __call__(
        self, image: Tensor, target: Target, generator: Generator
    ) -> tuple[Tensor, Target]:
        """Apply the transforms in order."""
        for transform in self.transforms:
            image, target = transform(image, target, generator)
        return image, target


@dataclass(frozen=True)
class RandomFlip:
    """Mirror left and right at random.

    Attributes:
        probability: the probability of mirroring, in 0…1.
    """

    probability: float = 0.5

    def __call__(
        self, image: Tensor, target: Target, generator: Generator
    ) -> tuple[Tensor, Target]:
        """Mirror with the given probability."""
        if _uniform(generator) < self.probability:
            return horizontal_flip(image, target)
        return image, target


@dataclass(frozen=True)
class RandomScaleCrop:
    """Scale jitter: resize by a random factor, then crop or pad to the old size.

    Attributes:
        smallest: smallest factor; below 1 the image shrinks and is padded.
        largest: largest factor.
    """

    smallest: float = 0.8
    largest: float = 1.25

    def __call__(
        self, image: Tensor, target: Target, generator: Generator
    ) -> tuple[Tensor, Target]:
        """Sample the factor (uniformly in its logarithm) and the position, and apply them."""
        ratio = self.largest / self.smallest
        factor = self.smallest * ratio ** _uniform(generator)
        old = target.size
        new = scaled_size(old, factor)
        image, target = _resize(image, target, new)
        top = round(_uniform(generator) * (new[0] - old[0]))
        left = round(_uniform(generator) * (new[1] - old[1]))
        return crop(image, target, top, left, old)


@dataclass(frozen=True)
class RandomColor:
    """Change brightness, contrast and saturation, each by a random factor in 1 ± strength.

    Attributes:
        strength: a number in 0…1.
    """

    strength: float = 0.2

    def __call__(
        self, image: Tensor, target: Target, generator: Generator
    ) -> tuple[Tensor, Target]:
        """Sample the three factors and apply them; values are clamped to 0…1."""
        factors = [1 + self.strength * (2 * _uniform(generator) - 1) for _ in range(3)]
        image = image * factors[0]
        mean = image.mean()
        image = mean + factors[1] * (image - mean)
        grey = image.mean(0, keepdim=True)
        image = grey + factors[2] * (image - grey)
        return image.clamp(0, 1), target


def _uniform(generator: Generator) -> float:
    return float(torch.rand((), generator=generator))


def _resize(image: Tensor, target: Target, new: tuple[int, int]) -> tuple[Tensor, Target]:
    old = target.size
    if image.shape[-2:] != torch.Size(old):
        raise SeglibError(
            f"the image is {list(image.shape[-2:])} px, but its target is for {list(old)} px"
        )
    if new == old:
        return image, target
    sampled = tuple(
        ((torch.arange(to) + 0.5) * (of / to)).long().clamp(max=of - 1)
        for to, of in zip(new, old, strict=True)
    )
    resized = _resize_target(target, new, *sampled)
    smooth = F.interpolate(image[None], size=new, mode="bilinear", antialias=True)[0]
    kept = drop_invisible(resized)
    if target.truth is not None:
        kept = replace(kept, truth=_resize_target(target.truth, new, *sampled))
    return smooth.clamp(0, 1), kept


def _resize_target(target: Target, new: tuple[int, int], rows: Tensor, columns: Tensor) -> Target:
    """Take the pixels at `rows` and `columns`; scale boxes and areas, keeping their dtype."""
    scale_y, scale_x = new[0] / target.size[0], new[1] / target.size[1]
    resized = _map_pixels(
        target, lambda pixels, _: pixels.index_select(-2, rows).index_select(-1, columns)
    )
    return replace(
        resized,
        boxes=target.boxes * target.boxes.new_tensor([scale_x, scale_y, scale_x, scale_y]),
        area=target.area * (scale_x * scale_y),
        size=new,
    )


def _map_pixels(target: Target, change: Callable[[Tensor, float], Tensor]) -> Target:
    """Apply `change(pixels, fill)` to masks, semantic map and panoptic map; drop `truth`."""
    panoptic: Panoptic | None = None
    if target.panoptic is not None:
        segment_map = change(target.panoptic.segment_map, 0)
        panoptic = replace(target.panoptic, segment_map=segment_map)
    semantic = None if target.semantic is None else change(target.semantic, IGNORE)
    return replace(
        target,
        masks=change(target.masks, False),
        semantic=semantic,
        panoptic=panoptic,
        truth=None,
    )
