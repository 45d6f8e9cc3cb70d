"""The stages of a cascade under one threshold: how many boxes each has to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.assignment import assign_boxes
from seglib.ops.boxes import box_area, box_iou
from seglib.plotting.cascade import draw_by_quality, draw_iou_histogram
from seglib.plotting.detection import picture_under
from seglib.plotting.style import Figure, figure, styled
from seglib.widgets.explorer import Explorer, choice, slider

SIZES = ("all", "the smaller half", "the larger half")


class StagedImage(NamedTuple):
    """An image and what each stage made of the same boxes.

    Attributes:
        image: [3, H, W].
        objects: [G, 4] true boxes in pixels.
        stages: [N, 4] boxes of every stage, row n of one made from row n of the one before.
    """

    image: Tensor
    objects: Tensor
    stages: Sequence[Tensor]


class CascadeStages(Explorer):
    """Move the IoU threshold and see how many boxes of each stage reach it.

    `values`: `positives` and `shares` of each stage over all images, `mean_iou` of each stage,
    `here` and `boxes_here` (positives and boxes of the chosen image and stage), `reached`
    (objects of that image with a positive box there) and `objects`.
    """

    def __init__(
        self,
        images: Sequence[StagedImage],
        names: Sequence[str] = (),
        *,
        threshold: float = 0.5,
        stage: int = 0,
    ) -> None:
        """`names` of the stages, the first of them what the cascade is given."""
        counts = {len(one.stages) for one in images}
        if len(counts) != 1 or 0 in counts:
            raise SeglibError("CascadeStages needs images that have equally many stages")
        if any(len(one.objects) == 0 for one in images):
            raise SeglibError("CascadeStages needs images with at least one object each")
        self.images = list(images)
        default = ["proposals", *(f"after stage {n}" for n in range(1, max(counts)))]
        self.names = list(names) or default
        if len(self.names) != max(counts):
            raise SeglibError(f"{max(counts)} stages need as many names, not {len(self.names)}")
        areas = torch.cat([box_area(one.objects) for one in self.images])
        self._middle = float(areas.median())
        super().__init__(
            {
                "IoU threshold": slider("IoU threshold", threshold, 0.3, 0.95, 0.05),
                "stage": choice("boxes", self.names, self.names[stage]),
                "objects": choice("nearest object", list(SIZES), SIZES[0]),
                "image": slider("image", 1, 1, len(self.images)),
            }
        )

    def _kept(self, one: StagedImage, stage: int) -> tuple[Tensor, Tensor]:
        """IoU [G, n] and rows [n] of the boxes whose nearest object, as proposed, has the size."""
        given = box_iou(one.objects, one.stages[0])  # [G, N]
        larger = (box_area(one.objects) > self._middle)[given.argmax(0)]  # [N]
        size = self.setting("objects")
        keep = torch.ones_like(larger) if size == SIZES[0] else larger == (size == SIZES[2])
        rows = keep.nonzero().squeeze(1)
        return box_iou(one.objects, one.stages[stage][rows]), rows

    def compute(self) -> dict[str, Any]:
        """Label the boxes of every stage by `ops.assign_boxes` at the threshold."""
        threshold = self.setting("IoU threshold")
        positives, shares, means, best = [], [], [], []
        for stage in range(len(self.names)):
            every = [self._kept(one, stage)[0] for one in self.images]
            labels = torch.cat([assign_boxes(o, threshold, threshold)[0] for o in every])
            best.append(torch.cat([o.amax(0) for o in every]))
            positives.append(int((labels > 0).sum()))
            shares.append(positives[-1] / max(1, len(labels)))
            means.append(float(best[-1].mean()) if len(best[-1]) else 0.0)
        shown, stage = self.images[self.setting("image") - 1], self._stage()
        overlaps, rows = self._kept(shown, stage)
        labels, index = assign_boxes(overlaps, threshold, threshold)
        return {
            "positives": positives,
            "shares": shares,
            "mean_iou": means,
            "here": int((labels > 0).sum()),
            "boxes_here": len(rows),
            "reached": len(index[labels > 0].unique()),
            "objects": len(shown.objects),
            "overlaps": best[stage],
            "rows": rows[labels > 0],
        }

    def _stage(self) -> int:
        return self.names.index(self.setting("stage"))

    @styled
    def figure(self) -> Figure:
        """The positives of one image, and the IoUs of the stage over all images."""
        shown, v = self.images[self.setting("image") - 1], self.values
        height, width = shown.image.shape[-2:]
        tall = 3.1 * min(1.15, height / width)
        fig, grid = figure(2, panel=(3.1, tall))
        title = f"{v['here']} of {v['boxes_here']} boxes are positive here"
        axes = picture_under(grid[0, 0], shown.image, title)
        draw_by_quality(axes, shown.stages[self._stage()][v["rows"]], shown.objects)
        draw_iou_histogram(grid[0, 1], v["overlaps"], self.setting("IoU threshold"))
        grid[0, 1].set(ylim=(0, 0.4), title=f"{self.setting('stage')}, {len(self.images)} images")
        for axes in grid[0]:
            axes.title.set_fontsize(7.5)
        return fig

    def summary(self) -> str:
        """Positives of every stage."""
        v = self.values
        counts = ", ".join(
            f"{name} {count} ({share:.0%})"
            for name, count, share in zip(self.names, v["positives"], v["shares"], strict=True)
        )
        return (
            f"Positives at {self.setting('IoU threshold'):.2f}: {counts}. On this image they reach "
            f"{v['reached']} of {v['objects']} objects."
        )
