"""An explorer of DETR's attention weights from a position or a query, by layer and head."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seglib.models.detr import DETR
from seglib.models.detr.attention_maps import attention_maps
from seglib.models.detr.postprocess import best_classes, boxes_in_pixels
from seglib.plotting.attention import draw_attention
from seglib.plotting.detection import draw_boxes, picture_under
from seglib.plotting.overlays import class_name
from seglib.plotting.panels import Figure, image_panels, mark_point
from seglib.plotting.style import VERMILION, styled
from seglib.widgets.explorer import Explorer, choice, slider

ENCODER, DECODER = "a place (encoder)", "a query (decoder)"
MEAN = "mean of all"


class AttentionViewer(Explorer):
    """Choose a position or a query, and see its attention weights.

    `values`: the `weights` [h, w] over the image, which sum to 1; the `cell` (row, column) of the
    place; and the query's `label` 1…C, `score` and `box` [4] in pixels after the chosen layer.
    """

    def __init__(
        self, model: DETR, image: Tensor, *, query: int = 0, place: tuple[int, int] | None = None
    ) -> None:
        """`image` [3, H, W] in 0…1; `place` is (y, x) in pixels, by default the middle."""
        self.model, self.image = model, image
        self.output, self.maps = attention_maps(model, image)
        config, (height, width) = model.config, image.shape[-2:]
        y, x = place or (height // 2, width // 2)
        layers = max(config.encoder_layers, config.decoder_layers)
        heads = [MEAN, *(f"head {n}" for n in range(1, config.heads + 1))]
        readers = [DECODER, ENCODER] if config.encoder_layers else [DECODER]
        super().__init__(
            {
                "reader": choice("who reads", readers, readers[0]),
                "query": slider("query", query, 0, config.queries - 1),
                "down": slider("place: down (px)", y, 0, height - 1),
                "across": slider("place: across (px)", x, 0, width - 1),
                "layer": slider("layer", layers, 1, layers),
                "head": choice("head", heads, MEAN),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """The most confident queries at several layers, in two heads and on average."""
        sure = best_classes(self.output.logits[-1, 0])[0]  # [Q]
        layers = self.model.config.decoder_layers
        return {
            "query": sure.argsort(descending=True)[:8].tolist(),
            "layer": sorted({1, (layers + 1) // 2, layers}),
            "head": [MEAN, "head 1", "head 2"],
        }

    def compute(self) -> dict[str, Any]:
        """Look up the weights and the query's prediction after this layer."""
        query, layer = self.setting("query"), self.setting("layer") - 1
        height, width = self.image.shape[-2:]
        rows, columns = self.maps.decoder.shape[-2:]
        cell = (
            self.setting("down") * rows // height,
            self.setting("across") * columns // width,
        )
        if self.setting("reader") == ENCODER:
            maps = self.maps.encoder[min(layer, len(self.maps.encoder) - 1)]
            weights = maps[:, cell[0], cell[1]]  # [heads, h, w]
        else:
            weights = self.maps.decoder[min(layer, len(self.maps.decoder) - 1), :, query]
        head = self.setting("head")
        own = min(layer, len(self.output.logits) - 1)
        scores, labels = best_classes(self.output.logits[own, 0, query])
        return {
            "weights": weights.mean(0) if head == MEAN else weights[int(head.split()[1]) - 1],
            "cell": cell,
            "label": int(labels),
            "score": float(scores),
            "box": boxes_in_pixels(self.output.boxes[own, 0, query], (height, width)),
        }

    @styled
    def figure(self) -> Figure:
        """The position or query, and its attention weights."""
        fig, (left, right) = image_panels(self.image, 2, panel=3.1)
        picture_under(left, self.image)
        draw_attention(right, self.image, self.values["weights"], "where it reads")
        if self.setting("reader") == ENCODER:
            left.set_title("this place")
            for axes in (left, right):
                mark_point(
                    axes, self.setting("across") + 0.5, self.setting("down") + 0.5, VERMILION, 9
                )
        else:
            left.set_title(f"query {self.setting('query')}")
            draw_boxes(left, self.values["box"][None], VERMILION)
        return fig

    def summary(self) -> str:
        """The position with the largest weight, and the query's prediction."""
        v = self.values
        largest = int(v["weights"].argmax())
        columns = v["weights"].shape[-1]
        place = f"most from row {largest // columns} and column {largest % columns}"
        place += f" ({float(v['weights'].max()):.1%} of the weight)"
        if self.setting("reader") == ENCODER:
            return f"The place in row {v['cell'][0]} and column {v['cell'][1]} reads {place}."
        name = class_name(self.model.categories, v["label"])
        return (
            f"Query {self.setting('query')} reads {place}. Its best class is {name}, "
            f"probability {v['score']:.2f}."
        )
