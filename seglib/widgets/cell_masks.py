"""An explorer of SOLO's cells: the class scores and the mask that each of them predicts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seglib.models.solo import SOLO
from seglib.models.solo.mask_maps import Cells
from seglib.models.solo.targets import cells_of
from seglib.plotting.location_grid import draw_location_grid, draw_probabilities, tint_cells
from seglib.plotting.overlays import class_name
from seglib.plotting.panels import Figure, image_panels
from seglib.plotting.style import styled
from seglib.widgets.explorer import Explorer, choice, slider


class CellMasks(Explorer):
    """Choose a position and a grid, and see the cell there, its best class and its mask.

    `values`: the `cell` (level, row, column), its best `label` 1…C and that class's `score`, and
    its `mask`, probabilities [h, w] over the image.
    """

    def __init__(
        self, model: SOLO, image: Tensor, *, level: int = 0, place: tuple[int, int] | None = None
    ) -> None:
        """`image` [3, H, W] in 0…1; `place` is (y, x) in pixels, by default the middle."""
        self.model, self.image = model, image
        with torch.no_grad():
            self.output = model([image])
        height, width = image.shape[-2:]
        y, x = place or (height // 2, width // 2)
        sides = model.config.grids
        self._names = [f"{side} × {side}" for side in sides]
        super().__init__(
            {
                "grid": choice("grid", self._names, self._names[level]),
                "down": slider("down (px)", y, 0, height - 1),
                "across": slider("across (px)", x, 0, width - 1),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """A coarse grid of positions on the coarsest, a middle and the finest level."""
        height, width = self.image.shape[-2:]
        return {
            "grid": [self._names[0], self._names[len(self._names) // 2], self._names[-1]],
            "down": [height * n // 8 for n in (1, 3, 5, 7)],
            "across": [width * n // 8 for n in (1, 3, 5, 7)],
        }

    def _side(self) -> int:
        return self.model.config.grids[self._names.index(self.setting("grid"))]

    def compute(self) -> dict[str, Any]:
        """Find the cell as for a target's centre, and compute its mask with the model."""
        level = self._names.index(self.setting("grid"))
        place = torch.tensor([[self.setting("down"), self.setting("across")]]) + 0.5  # [1, 2]
        extent, grid = torch.tensor([self.image.shape[-2:]]), torch.tensor([self._side()])
        row, column = cells_of(place, extent, grid)[0, 0].tolist()
        scores = self.output.class_logits[level][0, :, row, column].sigmoid()  # [C]
        batch = self.output.batch
        cell = Cells(*(torch.tensor([n]) for n in (0, level, row, column)))
        with torch.no_grad():
            mask = self.output.masks.probabilities(cell, batch.canvas)[0]  # [H, W]
        seen = batch.sizes[0]
        return {
            "cell": (level, row, column),
            "label": int(scores.argmax()) + 1,
            "score": float(scores.max()),
            "mask": mask[: seen[0], : seen[1]],
        }

    @styled
    def figure(self) -> Figure:
        """The cell on its grid, and its mask."""
        fig, (left, right) = image_panels(self.image, 2, panel=3.1)
        _, row, column = self.values["cell"]
        draw_location_grid(left, self.image, self._side(), f"row {row}, column {column}")
        tint_cells(left, self.image, self._side(), [(row, column)])
        draw_probabilities(right, self.image, self.values["mask"], "its mask")
        return fig

    def summary(self) -> str:
        """The cell's position, class and score."""
        v = self.values
        _, row, column = v["cell"]
        name = class_name(self.model.categories, v["label"])
        covered = float((v["mask"] > self.model.config.selection.mask_threshold).float().mean())
        return (
            f"The cell in row {row} and column {column} says {name} with probability "
            f"{v['score']:.2f}, and its mask covers {covered:.1%} of the image."
        )
