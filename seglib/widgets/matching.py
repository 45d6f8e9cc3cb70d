"""An explorer of DETR's matching: the cost matrix, with the weights of its terms on sliders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.models.detr import DETR
from seglib.models.detr.matching import box_costs, class_cost
from seglib.models.detr.objects import object_batch
from seglib.models.detr.postprocess import boxes_in_pixels
from seglib.ops.hungarian import hungarian
from seglib.plotting.overlays import class_name
from seglib.plotting.panels import Figure, figure
from seglib.plotting.set_prediction import draw_costs, draw_matching
from seglib.plotting.style import styled
from seglib.structures import Target
from seglib.widgets.explorer import Explorer, slider

ROWS = 10  # rows of the cost matrix that are drawn


class MatchingViewer(Explorer):
    """Change the weights of the cost's terms, and see the cost matrix and the matching.

    `values`: the `cost` [Q, G]; the `pairs`, a list of (query, object); their `total` cost; and
    `changed`, the number of pairs that the model's own weights would not choose.
    """

    process = "layer"

    def __init__(self, model: DETR, image: Tensor, target: Target) -> None:
        """`image` [3, H, W] in 0…1 and its `target`; crowds are left out.

        Raises:
            SeglibError: the target contains no object.
        """
        self.model, self.image = model, image
        with torch.no_grad():
            self.output = model([image])
        self.objects = object_batch([image], [target], self.output.batch, len(model.categories))
        if not self.objects.counts[0]:
            raise SeglibError("MatchingViewer needs an image with at least one object")
        config, layers = model.config, len(self.output.logits)
        super().__init__(
            {
                "class": slider("weight: class", config.class_weight, 0.0, 10.0, 0.5),
                "distance": slider("weight: L1 distance", config.box_weight, 0.0, 10.0, 0.5),
                "overlap": slider("weight: GIoU", config.giou_weight, 0.0, 10.0, 0.5),
                "layer": slider("decoder layer", layers, 1, layers),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """Each term of the cost left out, or alone; after the first layers and the last."""
        config, layers = self.model.config, len(self.output.logits)
        return {
            "class": [0.0, config.class_weight, 10.0],
            "distance": [0.0, config.box_weight],
            "overlap": [0.0, config.giou_weight],
            "layer": sorted({1, 2, layers}),
        }

    def costs(self, class_weight: float, distance_weight: float, overlap_weight: float) -> Tensor:
        """The weighted costs [Q, G] after the chosen layer."""
        layer = slice(self.setting("layer") - 1, self.setting("layer"))
        distance, overlap = box_costs(self.output.boxes[layer], self.objects.boxes)
        class_costs = class_cost(self.output.logits[layer], self.objects.labels[None])
        cost = class_weight * class_costs + distance_weight * distance + overlap_weight * overlap
        return cost[0, 0]

    def compute(self) -> dict[str, Any]:
        """Match with the weights of the sliders, and with the model's own."""
        config = self.model.config
        cost = self.costs(*(self.setting(name) for name in ("class", "distance", "overlap")))
        model_cost = self.costs(config.class_weight, config.box_weight, config.giou_weight)
        pairs, usual = (
            list(zip(*(side.tolist() for side in hungarian(c)), strict=True))
            for c in (cost, model_cost)
        )
        return {
            "cost": cost,
            "pairs": pairs,
            "total": float(sum(cost[q, g] for q, g in pairs)),
            "changed": len(set(pairs) - set(usual)),
        }

    @styled
    def figure(self) -> Figure:
        """The costs of the relevant queries, and the matching over the image."""
        cost, pairs = self.values["cost"], self.values["pairs"]
        matched = [query for query, _ in pairs]
        by_cost = cost.amin(dim=1).argsort().tolist()
        unmatched = [query for query in by_cost if query not in matched]
        shown = sorted((matched + unmatched)[: max(ROWS, len(matched))])
        names = [
            class_name(self.model.categories, label) for label in self.objects.labels[0].tolist()
        ]
        columns = [f"{name[:6]}\n{g}" for g, name in enumerate(names)]
        width = max(2.6, 1.0 + 0.45 * len(columns))
        fig, grid = figure(2, panel=((width + 3.4) / 2, 4.0), widths=[width, 3.4])
        marked = [(shown.index(query), g) for query, g in pairs]
        draw_costs(grid[0, 0], cost[shown], marked, [f"query {q}" for q in shown], columns, "costs")
        size = self.image.shape[-2], self.image.shape[-1]
        boxes = boxes_in_pixels(self.output.boxes[self.setting("layer") - 1, 0], size)
        truth = boxes_in_pixels(self.objects.boxes[0], size)
        texts = [str(q) for q in range(len(boxes))]
        draw_matching(
            grid[0, 1], self.image, boxes[shown], truth, marked, [texts[q] for q in shown]
        )
        grid[0, 1].set_title("green: truth · red: matched · dashed: others", fontsize=7.5)
        return fig

    def summary(self) -> str:
        """The total, and what the weights change."""
        v = self.values
        return (
            f"{len(v['pairs'])} pairs with a total cost of {v['total']:.2f}. "
            f"{v['changed']} of them differ from those of the model's own weights."
        )
