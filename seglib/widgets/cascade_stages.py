"""An explorer of a cascade's stages: the positive boxes of each stage at an IoU threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.assignment import assign_boxes
from seglib.ops.boxes import box_area, box_iou
from seglib.plotting.box_quality import draw_by_quality, draw_iou_histogram
from seglib.plotting.detection import picture_under
from seglib.plotting.panels import Figure, image_panels
from seglib.plotting.style import styled
from seglib.widgets.explorer import Explorer, choice, slider

SIZES = ("all", "the smaller half", "the larger half")


class StagedImage(NamedTuple):
    """An image and the boxes after each stage.

    Attributes:
        image: [3, H, W].
        objects: [G, 4] true boxes in pixels.
        stages: [N, 4] boxes of each stage; row n is refined from row n of the stage before.
    """

    image: Tensor
    objects: Tensor
    stages: Sequence[Tensor]


class CascadeStages(Explorer):
    """Choose an IoU threshold and see how many boxes of each stage reach it.

    `values`: `positives`, `shares` and `mean_iou` of each stage over all images; for the chosen
    image and stage, the positives `here`, `boxes_here`, the `objects`, those `reached` by a
    positive box, and the `rows` of the positive boxes; and the `overlaps` of the stage.
    """

    process = "stage"

    def __init__(
        self,
        images: Sequence[StagedImage],
        names: Sequence[str] = (),
        *,
        threshold: float = 0.5,
        stage: int = 0,
    ) -> None:
        """`names` of the stages; the first is the input of the cascade, by default "proposals"."""
        counts = {len(one.stages) for one in images}
        if len(counts) != 1 or 0 in counts:
            raise SeglibError(
                "CascadeStages needs one or more images with the same number of stages"
            )
        if any(len(one.objects) == 0 for one in images):
            raise SeglibError("CascadeStages needs at least one object in each image")
        self.images = list(images)
        default = ["proposals", *(f"after stage {n}" for n in range(1, max(counts)))]
        self.names = list(names) or default
        if len(self.names) != max(counts):
            raise SeglibError(f"{max(counts)} stages need as many names, got {len(self.names)}")
        areas = torch.cat([box_area(one.objects) for one in self.images])
        middle = float(areas.median())
        self._larger = [_of_larger_object(one, middle) for one in self.images]
        self._overlaps = [[box_iou(one.objects, b) for b in one.stages] for one in self.images]
        super().__init__(
            {
                "IoU threshold": slider("IoU threshold", threshold, 0.3, 0.95, 0.05),
                "stage": choice("boxes", self.names, self.names[stage]),
                "objects": choice("nearest object", list(SIZES), SIZES[0]),
                "image": slider("image", 1, 1, len(self.images)),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """Every stage at several thresholds, for all objects and for each half."""
        return {
            "IoU threshold": [0.5, 0.6, 0.7, 0.8, 0.85],
            "stage": self.names,
            "objects": list(SIZES),
        }

    def _kept(self, image: int, stage: int) -> tuple[Tensor, Tensor]:
        """IoU [G, n] and rows [n] of the boxes whose object has the chosen size."""
        larger, size = self._larger[image], self.setting("objects")
        keep = torch.ones_like(larger) if size == SIZES[0] else larger == (size == SIZES[2])
        rows = keep.nonzero().squeeze(1)
        return self._overlaps[image][stage][:, rows], rows

    def compute(self) -> dict[str, Any]:
        """Label the boxes of each stage with `ops.assign_boxes` at the threshold."""
        threshold = self.setting("IoU threshold")
        positives, shares, means, best = [], [], [], []
        for stage in range(len(self.names)):
            every = [self._kept(n, stage)[0] for n in range(len(self.images))]
            labels = torch.cat([assign_boxes(o, threshold, threshold)[0] for o in every])
            best.append(torch.cat([o.amax(0) for o in every]))
            positives.append(int((labels > 0).sum()))
            shares.append(positives[-1] / max(1, len(labels)))
            means.append(float(best[-1].mean()) if len(best[-1]) else 0.0)
        number, stage = self.setting("image") - 1, self._stage()
        overlaps, rows = self._kept(number, stage)
        labels, index = assign_boxes(overlaps, threshold, threshold)
        return {
            "positives": positives,
            "shares": shares,
            "mean_iou": means,
            "here": int((labels > 0).sum()),
            "boxes_here": len(rows),
            "reached": len(index[labels > 0].unique()),
            "objects": len(self.images[number].objects),
            "overlaps": best[stage],
            "rows": rows[labels > 0],
        }

    def _stage(self) -> int:
        return self.names.index(self.setting("stage"))

    @styled
    def figure(self) -> Figure:
        """The positive boxes of one image, and the IoUs of the stage over all images."""
        shown, v = self.images[self.setting("image") - 1], self.values
        fig, (left, right) = image_panels(shown.image, 2, panel=3.1)
        title = f"{v['here']} of {v['boxes_here']} boxes are positive here"
        picture_under(left, shown.image, title)
        draw_by_quality(left, shown.stages[self._stage()][v["rows"]], shown.objects)
        draw_iou_histogram(right, v["overlaps"], self.setting("IoU threshold"))
        right.set(ylim=(0, 0.4), title=f"{self.setting('stage')}, {len(self.images)} images")
        for axes in (left, right):
            axes.title.set_fontsize(7.5)
        return fig

    def summary(self) -> str:
        """The positives of each stage."""
        v = self.values
        counts = ", ".join(
            f"{name} {count} ({share:.0%})"
            for name, count, share in zip(self.names, v["positives"], v["shares"], strict=True)
        )
        return (
            f"Positives at {self.setting('IoU threshold'):.2f}: {counts}. "
            f"The boxes shown lie on {v['reached']} of {v['objects']} objects."
        )


def _of_larger_object(one: StagedImage, middle: float) -> Tensor:
    """Bool [N]: whether a box's object is larger than `middle` px².

    A box belongs to the object that its proposal overlaps most.
    """
    overlaps = box_iou(one.objects, one.stages[0])  # [G, N]
    return (box_area(one.objects) > middle)[overlaps.argmax(0)]
