"""Samples packed for memory: one byte per colour value of the image, one bit per mask pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglib.structures import Panoptic, Target

_NO_IMAGE = torch.zeros(3, 0, 0, dtype=torch.uint8)


@dataclass(frozen=True)
class PackedSample:
    """One packed image with its target; `unpack` returns copies that may be changed.

    Attributes:
        image: uint8 [3, H, W].
        target: the target without masks and maps.
        mask_bits: the masks, eight pixels per byte.
        mask_shape: (N, H, W).
        semantic: the semantic map, uint8 [H, W]; None if the target has none.
        segment_map: the panoptic map, int16 [H, W]; None if the target has none.
        truth: the target's truth, packed as a sample without an image; None if it has none.
    """

    image: Tensor
    target: Target
    mask_bits: NDArray[np.uint8]
    mask_shape: tuple[int, ...]
    semantic: Tensor | None
    segment_map: Tensor | None
    truth: PackedSample | None

    @classmethod
    def pack(cls, image: Tensor, target: Target) -> PackedSample:
        """Pack an image, uint8 [3, H, W], and its target, whose segment ids are 1…S."""
        panoptic, empty = target.panoptic, torch.zeros(0, 0, 0, dtype=torch.bool)
        bare_panoptic = panoptic and replace(panoptic, segment_map=empty)
        return cls(
            image=image,
            target=replace(target, masks=empty, semantic=None, panoptic=bare_panoptic, truth=None),
            mask_bits=np.packbits(target.masks.numpy()),
            mask_shape=tuple(target.masks.shape),
            semantic=None if target.semantic is None else target.semantic.byte(),
            segment_map=None if panoptic is None else panoptic.segment_map.short(),
            truth=None if target.truth is None else cls.pack(_NO_IMAGE, target.truth),
        )

    def unpack(self) -> tuple[Tensor, Target]:
        """The uint8 image and the target as they were packed."""
        count = int(np.prod(self.mask_shape))
        pixels = np.unpackbits(self.mask_bits, count=count).view(np.bool_)
        panoptic: Panoptic | None = self.target.panoptic
        if panoptic is not None and self.segment_map is not None:
            panoptic = replace(panoptic, segment_map=self.segment_map.long())
        target = replace(
            self.target,
            boxes=self.target.boxes.clone(),
            labels=self.target.labels.clone(),
            iscrowd=self.target.iscrowd.clone(),
            area=self.target.area.clone(),
            masks=torch.from_numpy(pixels.reshape(self.mask_shape)),
            semantic=None if self.semantic is None else self.semantic.long(),
            panoptic=panoptic,
            truth=None if self.truth is None else self.truth.unpack()[1],
        )
        return self.image.clone(), target
