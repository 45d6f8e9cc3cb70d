"""A mixing desk for YOLACT: sliders for coefficients assemble a mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.models.yolact import YOLACT
from seglib.models.yolact.box_coder import decode_boxes
from seglib.models.yolact.masks import (
    assemble_masks,
    boxes_in_cells,
    crop_masks,
    enlarge_masks,
    inside_boxes,
)
from seglib.plotting.panels import Figure
from seglib.plotting.prototypes import show_mixture
from seglib.widgets.explorer import Explorer, choice, slider

PREDICTED, SILENT = "as predicted", "silent"
TO_BOX, WHOLE = "to the box", "off"


class MixingDesk(Explorer):
    """Choose an object and move the coefficients of the prototypes that matter most.

    Choosing an object sets all sliders to its predicted coefficients. `values`: the `coefficients`
    [k] in use, the `logits` [h, w] that they give, and the `mask`, probabilities [H, W].
    """

    def __init__(
        self, model: YOLACT, image: Tensor, objects: Mapping[str, int], *, count: int = 6
    ) -> None:
        """`image` [3, H, W] in 0…1; `objects`: name → number of the anchor that predicts it."""
        if not objects:
            raise SeglibError("MixingDesk needs at least one object: give a name and its anchor")
        self.image = image
        with torch.no_grad():
            output = model([image])
        self.output, self.prototypes = output, output.prototypes[0]
        rows = list(objects.values())
        self.predicted = output.of_anchors.coefficients[0, rows]  # [n, k]
        self.boxes = decode_boxes(output.anchors[rows], output.of_anchors.deltas[0, rows])  # [n, 4]
        self.names, self.chosen = list(objects), self._strongest(count)
        self._turning = False
        sliders = {
            f"prototype {k}": slider(f"prototype {k}", self.predicted[0, k].item(), -1.0, 1.0, 0.05)
            for k in self.chosen
        }
        super().__init__(
            {
                "object": choice("object", self.names, self.names[0]),
                **sliders,
                "others": choice("other prototypes", [PREDICTED, SILENT], PREDICTED),
                "crop": choice("crop", [TO_BOX, WHOLE], TO_BOX),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """The three strongest prototypes of the first object, without, and reversed."""
        predicted = self.predicted[self._object()]
        dials = {f"prototype {k}": [-predicted[k].item(), 0.0] for k in self.chosen[:3]}
        return {**dials, "crop": [TO_BOX, WHOLE]}

    def _strongest(self, count: int) -> list[int]:
        """The prototypes with the largest mean contribution inside any object's box."""
        inside = inside_boxes(self._boxes_in_cells(), self.output.cells).float()  # [n, h, w]
        area = inside.sum(dim=(1, 2)).clamp(min=1)  # [n]
        means = torch.einsum("nhw,khw->nk", inside, self.prototypes) / area[:, None]  # [n, k]
        return (self.predicted.abs() * means).amax(dim=0).topk(count).indices.tolist()

    def _boxes_in_cells(self) -> Tensor:
        return boxes_in_cells(self.boxes, self.output.batch.canvas, self.output.cells)

    def _refresh(self, change: Any = None) -> None:
        if self._turning:  # each slider would redraw the picture
            return
        if change is not None and change["owner"] is self.controls["object"]:
            self._turning = True
            predicted = self.predicted[self._object()]
            for k in self.chosen:
                self.controls[f"prototype {k}"].value = predicted[k].item()
            self._turning = False
        super()._refresh(change)

    def _object(self) -> int:
        return self.names.index(self.setting("object"))

    def compute(self) -> dict[str, Any]:
        """Assemble the mask as the model does, with the coefficients of the sliders."""
        predicted = self.predicted[self._object()]
        coefficients = (
            predicted.clone()
            if self.setting("others") == PREDICTED
            else torch.zeros_like(predicted)
        )
        for k in self.chosen:
            coefficients[k] = self.setting(f"prototype {k}")
        logits = assemble_masks(coefficients[None], self.prototypes)  # [1, h, w]
        mask = logits.sigmoid()
        if self.setting("crop") == TO_BOX:
            mask = crop_masks(mask, self._boxes_in_cells()[self._object(), None])
        batch, size = self.output.batch, (self.image.shape[-2], self.image.shape[-1])
        mask = enlarge_masks(mask, batch.canvas, batch.sizes[0], size)  # [1, H, W]
        return {"coefficients": coefficients, "logits": logits[0], "mask": mask[0]}

    def figure(self) -> Figure:
        """The weighted prototypes, the others together, the sum and the mask."""
        coefficients = self.values["coefficients"]
        weights = coefficients[self.chosen, None, None]  # [count, 1, 1]
        terms = weights * self.prototypes[self.chosen]  # [count, h, w]
        rest = self.values["logits"] - terms.sum(dim=0)
        names = [f"{coefficients[k]:+.2f} × prototype {k}" for k in self.chosen]
        box = self.boxes[self._object()] if self.setting("crop") == TO_BOX else None
        terms = torch.cat([terms, rest[None]])
        mask = self.values["mask"]
        names = [*names, "the others"]
        return show_mixture(self.image, terms, mask, names, box=box, columns=3, panel=1.9)

    def summary(self) -> str:
        """What was changed, and how much of the image the mask covers."""
        predicted = self.predicted[self._object()]
        moved = [
            k for k in self.chosen if abs(self.values["coefficients"][k] - predicted[k]) > 1e-6
        ]
        state = f"moved: {', '.join(map(str, moved))}" if moved else "all sliders as predicted"
        covered = float((self.values["mask"] > 0.5).float().mean())
        return f"{self.setting('object')}, {state}: the mask covers {covered:.1%} of the image."
