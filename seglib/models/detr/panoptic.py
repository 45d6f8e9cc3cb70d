"""Turn a set of masks into a panoptic map: each pixel gets one segment (DETR, section 4.4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.models.detr.segments import with_stuff
from seglib.models.targets import SizedTarget, semantic_labels
from seglib.ops.output_forms import soft_masks_at_stride
from seglib.ops.upsampling import interpolate
from seglib.structures import Categories, Panoptic, Size, Target

SEGMENT_THRESHOLD = 0.85  # the class probability that a query must exceed
LARGEST_DROPPED = 4  # pixels: segments up to this size are dropped


def panoptic_map(
    logits: Tensor,
    masks: Tensor,
    categories: Categories,
    seen: Size,
    size: Size,
    threshold: float = SEGMENT_THRESHOLD,
) -> Panoptic:
    """Assign each pixel to the query with the largest mask logit there.

    Queries of the same stuff class are merged into the first of them. Segments of only a few pixels
    are then dropped and their pixels given to the others, until none is left; as in the authors'
    code, a query that was merged into another has no pixel of its own and is dropped here, too.

    Args:
        logits: [Q, K], class 0 is "no object".
        masks: [Q, h, w] logits.
        categories: tell things from stuff.
        seen: (H, W) of the resized image, at which the masks are compared.
        size: (H, W) of the original image.
        threshold: class probability that a query must exceed.

    Returns:
        segments with ids from 1.
    """
    scores, labels = logits.softmax(dim=-1).max(dim=-1)  # [Q] each
    kept = (labels > 0) & (scores > threshold)
    labels, large = labels[kept], masks[kept]  # [S], [S, h, w]
    if len(labels):
        large = interpolate(large[None], seen, "bilinear")[0]  # [S, H, W]
    best = _largest(large, _first_of_its_stuff(labels, categories), size)  # [*size]
    while len(labels):
        area = best.flatten().bincount(minlength=len(labels))  # [S]
        enough = area > LARGEST_DROPPED
        if enough.all():
            break
        labels, large = labels[enough], large[enough]
        best = _largest(large, torch.arange(len(labels), device=labels.device), size)
    ids = torch.arange(1, len(labels) + 1, device=labels.device)
    segment_map = best + 1 if len(labels) else best
    return Panoptic(segment_map, ids, labels, torch.zeros_like(ids, dtype=torch.bool))


def _largest(masks: Tensor, numbers: Tensor, size: Size) -> Tensor:
    """The number in `numbers` [S] of the mask with the largest logit at each pixel: int64 [*size].

    Masks [S, H, W] are logits.
    """
    if len(masks) == 0:
        return torch.zeros(size, dtype=torch.int64, device=masks.device)
    best = numbers[masks.argmax(dim=0)]  # [H, W]
    # "nearest-exact" takes the pixel whose centre is nearest, as image libraries do.
    resized = F.interpolate(best[None, None].double(), size=size, mode="nearest-exact")
    return resized[0, 0].long()


def _first_of_its_stuff(labels: Tensor, categories: Categories) -> Tensor:
    """int64 [S]: each segment's own number, or that of the first segment of its stuff class."""
    same = labels[:, None] == labels  # [S, S]
    stuff = torch.tensor([c.label for c in categories.stuff], device=labels.device)
    is_stuff = torch.isin(labels, stuff)
    numbers = torch.arange(len(labels), device=labels.device)
    return torch.where(is_stuff, same.int().argmax(dim=1), numbers) if len(labels) else numbers


def perfect_map(
    image: Tensor,
    target: Target,
    categories: Categories,
    resize: Callable[[Tensor], Tensor],
    stride: int,
) -> Panoptic:
    """The true segments on the grid of the mask logits; see `segment_shares`."""
    labels = semantic_labels([image], [target], [target.size], target.size, len(categories))[0]
    objects = target[~target.iscrowd]
    things = SizedTarget(objects.boxes, objects.labels, objects.masks)
    segments = with_stuff(things, labels, categories)
    return panoptic_from_shares(segment_shares(segments.masks, resize, stride), segments.labels)


def panoptic_from_shares(shares: Tensor, labels: Tensor) -> Panoptic:
    """The panoptic map of exactly known segments: each pixel gets the one that covers most of it.

    Args:
        shares: [S, H, W] in 0…1; a pixel gets no segment if none covers half of it.
        labels: int64 [S].

    Returns:
        the segments that have a pixel, with ids 1…S.
    """
    nothing = shares.new_full((1, *shares.shape[1:]), 0.5)
    best = torch.cat([nothing, shares]).argmax(dim=0)  # [H, W], 0 where no segment is
    ids = torch.arange(1, len(labels) + 1, device=labels.device)
    occurs = (best == ids[:, None, None]).flatten(1).any(1)  # [S]
    return Panoptic(best, ids[occurs], labels[occurs], torch.zeros_like(occurs[occurs]))


def segment_shares(masks: Tensor, resize: Callable[[Tensor], Tensor], stride: int) -> Tensor:
    """The share of each cell of the mask logits that a segment covers, at the image's size.

    Args:
        masks: bool [S, H, W].
        resize: the model's, for float [C, H, W].
        stride: stride of the mask logits in pixels of the resized image.

    Returns:
        [S, H, W] in 0…1.
    """
    if len(masks) == 0:
        return masks.float()
    shares = soft_masks_at_stride(resize(masks.float()), stride)  # [S, h, w]
    size = (masks.shape[-2], masks.shape[-1])
    return shares if shares.shape == masks.shape else interpolate(shares[None], size)[0]
