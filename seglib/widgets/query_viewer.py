"""A viewer of MaskFormer's queries: what each predicts and contributes to the label map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seglib.models.maskformer import MaskFormer
from seglib.models.maskformer.inference import semantic_scores
from seglib.ops.upsampling import interpolate
from seglib.plotting.overlays import class_name
from seglib.plotting.panels import Figure
from seglib.plotting.queries import show_query
from seglib.widgets.explorer import Explorer, slider

SHOWN = 5  # classes with the highest probabilities


class QueryViewer(Explorer):
    """Choose a query and a layer, and see its mask, its classes and its share of the label map.

    `values`: the `query`, its most probable `label` (0 is "no object") and that label's `score`,
    the `probabilities` [K] of all labels, the `mask` [h, w], and the `share` [h, w] of the winning
    class's score that comes from this query.
    """

    def __init__(self, model: MaskFormer, image: Tensor, *, query: int | None = None) -> None:
        """`image` [3, H, W] in 0…1; by default the query that is surest of its class."""
        self.model, self.image = model, image
        with torch.no_grad():
            output = model([image])
            height, width = output.batch.sizes[0]
            masks = interpolate(output.masks[:, 0], output.batch.canvas, "bilinear")
        self._logits = output.logits[:, 0]  # [L, Q, K]
        self._masks = masks[..., :height, :width]  # [L, Q, h, w]
        if query is None:
            query = int(self._logits[-1].softmax(-1)[:, 1:].amax(-1).argmax())
        layers, queries = self._logits.shape[:2]
        super().__init__(
            {
                "query": slider("query", query, 0, queries - 1),
                "layer": slider("after layer", model.config.decoder_layers, *self._span(layers)),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """The sixteen most confident queries of the last layer, at three layers."""
        sure = self._logits[-1].softmax(-1)[:, 1:].amax(-1)  # [Q]
        first, last = self._span(len(self._logits))
        return {
            "query": sure.argsort(descending=True)[:16].tolist(),
            "layer": sorted({first, (first + last) // 2, last}),
        }

    def _span(self, layers: int) -> tuple[int, int]:
        """The first and last layer; Mask2Former also predicts before the first, which is 0."""
        last = self.model.config.decoder_layers
        return last - layers + 1, last

    def compute(self) -> dict[str, Any]:
        """Read the query, and its part of the semantic inference."""
        query = self.setting("query")
        layer = self.setting("layer") - self._span(len(self._logits))[0]
        logits, masks = self._logits[layer], self._masks[layer]  # [Q, K], [Q, h, w]
        probabilities, mask = logits[query].softmax(-1), masks[query].sigmoid()  # [K], [h, w]
        best, winner = semantic_scores(logits, masks).max(dim=0)  # [h, w] each
        return {
            "query": query,
            "label": int(probabilities.argmax()),
            "score": float(probabilities.max()),
            "probabilities": probabilities,
            "mask": mask,
            "share": probabilities[winner + 1] * mask / best,
        }

    def _name(self, label: int) -> str:
        if label == 0:
            return "no object"
        return class_name(self.model.categories, label)

    def figure(self) -> Figure:
        """The mask, the most probable classes, and the share."""
        ranked = self.values["probabilities"].topk(min(SHOWN, len(self.model.categories) + 1))
        pairs = zip(ranked.indices.tolist(), ranked.values.tolist(), strict=True)
        classes = {self._name(label): value for label, value in pairs}
        return show_query(self.image, self.values["mask"], classes, self.values["share"])

    def summary(self) -> str:
        """The query's prediction, and the share of pixels that it decides."""
        v = self.values
        decided = float((v["share"] > 0.5).float().mean())
        return (
            f"Query {v['query']} predicts {self._name(v['label'])} with probability "
            f"{v['score']:.2f}; its mask covers {float((v['mask'] > 0.5).float().mean()):.1%} of "
            f"the image, and it gives more than half of the winning score on {decided:.1%} of it."
        )
