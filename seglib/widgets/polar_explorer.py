"""An explorer of polar shapes: a centre, a number of rays, and the resulting mask."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seglib.models.polarmask.contours import contours_of
from seglib.models.polarmask.losses import polar_centerness
from seglib.models.polarmask.rays import polar_masks
from seglib.models.polarmask.targets import rays_from
from seglib.ops.masks import mask_iou
from seglib.plotting.panels import Figure, image_panels
from seglib.plotting.polar import draw_mask_error, draw_rays, name_parts
from seglib.plotting.style import styled
from seglib.widgets.explorer import Explorer, choice, slider

RAYS = (4, 6, 8, 12, 18, 24, 36, 72)


class PolarExplorer(Explorer):
    """Move the centre of an object's rays and choose their number, and see the mask and its IoU.

    `values`: the `center` (x, y) in pixels, the `distances` [n] from there to the outline, the
    `mask` [H, W] that they give, its `iou` with the object, and the `centerness` of the place.
    """

    def __init__(self, image: Tensor, masks: Tensor, *, index: int = 0, rays: int = 36) -> None:
        """Start at the centre of mass of object `index`.

        The image is [3, H, W] in 0…1, the masks are bool [G, H, W], and none is empty.
        """
        self.image, self.masks = image, masks
        _, self.outlines = contours_of(masks)
        height, width = image.shape[-2:]
        x, y = self.outlines[index].center.round().int().tolist()
        self._names = [f"object {n + 1}" for n in range(len(masks))]
        super().__init__(
            {
                "object": choice("object", self._names, self._names[index]),
                "across": slider("across (px)", x, 0, width - 1),
                "down": slider("down (px)", y, 0, height - 1),
                "rays": choice("rays", list(RAYS), rays),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """Positions in and around the object, with few, some and many rays."""
        x, y = self.setting("across"), self.setting("down")
        height, width = self.image.shape[-2:]
        return {
            "across": [x + step for step in (-24, -12, -6, 6, 12, 24) if 0 <= x + step < width],
            "down": [y + step for step in (-12, 12) if 0 <= y + step < height],
            "rays": [4, 12],
        }

    def _object(self) -> int:
        return self._names.index(self.setting("object"))

    def compute(self) -> dict[str, Any]:
        """Measure the rays as for a training target, and fill the contour as for a detection."""
        outline, mask = self.outlines[self._object()], self.masks[self._object()]
        center = torch.tensor([[self.setting("across"), self.setting("down")]]).float()  # [1, 2]
        distances = rays_from([outline], center, self.setting("rays"), "interpolated")  # [1, n]
        size = (mask.shape[0], mask.shape[1])
        drawn = polar_masks(center, distances, size)  # [1, H, W]
        return {
            "center": (self.setting("across"), self.setting("down")),
            "distances": distances[0],
            "mask": drawn[0],
            "iou": float(mask_iou(drawn, mask[None])[0, 0]),
            "centerness": float(polar_centerness(distances)[0]),
        }

    @styled
    def figure(self) -> Figure:
        """The rays over the object, and where their mask differs from it."""
        fig, (left, right) = image_panels(self.image, 2, panel=3.3)
        mask, v = self.masks[self._object()], self.values
        fan = (torch.tensor(v["center"]), v["distances"])
        draw_rays(left, self.image, [fan], mask[None], f"{self.setting('rays')} rays")
        draw_mask_error(right, self.image, mask, v["mask"])
        name_parts(fig)
        return fig

    def summary(self) -> str:
        """IoU and centerness at this position."""
        v = self.values
        return (
            f"{len(v['distances'])} rays from ({v['center'][0]}, {v['center'][1]}): the mask has "
            f"an IoU of {v['iou']:.2f} with the object; the centerness here is "
            f"{v['centerness']:.2f}."
        )
