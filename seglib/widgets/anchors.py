"""An explorer of anchors: which are positive, which are negative, and which are not used."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seglib.errors import SeglibError
from seglib.nn.anchors import cell_anchors, grid_anchors
from seglib.ops.assignment import assign_boxes
from seglib.ops.boxes import box_iou
from seglib.plotting.detection import draw_boxes, picture_under
from seglib.plotting.panels import Figure, image_panels
from seglib.plotting.style import BLUE, GREEN, ORANGE, VERMILION, styled
from seglib.widgets.explorer import Explorer, choice, slider

RATIOS = {"1:1": (1.0,), "1:2, 1:1, 2:1": (0.5, 1.0, 2.0), "1:2, 2:1": (0.5, 2.0)}


class AnchorExplorer(Explorer):
    """Place anchors on an image and label them as in the training of a region proposal network.

    `values`: numbers of `anchors`, of `positive` and `negative` ones and those in `between`
    (without a loss); `reached`, the objects with an anchor at the positive threshold; `best`, the
    mean over the objects of their largest IoU with an anchor; and `labels` [N].
    """

    def __init__(
        self,
        image: Tensor,
        objects: Tensor,
        *,
        stride: int = 8,
        size: int = 20,
        positive: float = 0.7,
        negative: float = 0.3,
    ) -> None:
        """`image` [3, H, W]; `objects` [G, 4] true boxes in pixels, at least one."""
        if objects.ndim != 2 or objects.shape[1] != 4 or len(objects) == 0:
            raise SeglibError(
                f"AnchorExplorer needs at least one box, [G, 4], got {list(objects.shape)}"
            )
        self.image, self.objects = image, objects.float()
        super().__init__(
            {
                "stride": choice("stride", [4, 8, 16, 32], stride),
                "size": slider("size", size, 6, 96, 2),
                "ratios": choice("height : width", list(RATIOS), "1:2, 1:1, 2:1"),
                "positive IoU": slider("positive IoU", positive, 0.3, 0.9, 0.05),
                "negative IoU": slider("negative IoU", negative, 0.1, 0.9, 0.05),
                "keep best anchor": choice("keep best anchor", ["yes", "no"], "yes"),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """Strides and sizes, with and without the rule that keeps the best anchor."""
        return {
            "stride": [4, 8, 16, 32],
            "size": [8, 16, 32, 48],
            "positive IoU": [0.5, 0.7],
            "keep best anchor": ["yes", "no"],
        }

    def anchors(self) -> Tensor:
        """[N, 4] from `nn.anchors`, at each cell of the chosen stride."""
        height, width = self.image.shape[-2:]
        stride = self.setting("stride")
        cell = cell_anchors([float(self.setting("size"))], RATIOS[self.setting("ratios")])
        return grid_anchors(cell, (-(-height // stride), -(-width // stride)), stride)

    def compute(self) -> dict[str, Any]:
        """Label all anchors with `ops.assign_boxes`; the lower threshold is capped at the upper."""
        overlaps = box_iou(self.objects, self.anchors())  # [G, N]
        high = self.setting("positive IoU")
        low = min(self.setting("negative IoU"), high)
        labels, _ = assign_boxes(overlaps, high, low, self.setting("keep best anchor") == "yes")
        best = overlaps.amax(1)  # [G]
        return {
            "anchors": overlaps.shape[1],
            "positive": int((labels == 1).sum()),
            "negative": int((labels == 0).sum()),
            "between": int((labels == -1).sum()),
            "reached": int((best >= high).sum()),
            "best": float(best.mean()),
            "labels": labels,
        }

    @styled
    def figure(self) -> Figure:
        """Dots at the centres of all anchors; the positive ones also as boxes over the objects."""
        fig, (axes,) = image_panels(self.image, 1, panel=3.3)
        picture_under(axes, self.image)
        anchors, labels = self.anchors(), self.values["labels"]
        for value, shade, size in ((0, BLUE, 1.5), (-1, ORANGE, 3.0), (1, VERMILION, 4.0)):
            centers = (anchors[labels == value, :2] + anchors[labels == value, 2:]) / 2
            axes.plot(*centers.T.numpy(), "o", color=shade, markersize=size, zorder=2)
        draw_boxes(axes, self.objects, GREEN, linewidth=2.4)
        draw_boxes(axes, anchors[labels == 1], VERMILION)
        v = self.values
        axes.set_title(
            f"{v['positive']} positive (red), {v['between']} without loss (orange), "
            f"{v['negative']} negative (blue)\ngreen: objects, {v['reached']} of them reached"
        )
        axes.title.set_fontsize(7.5)
        return fig

    def summary(self) -> str:
        """The counts, and the coverage of the objects."""
        v = self.values
        return (
            f"{v['anchors']} anchors: {v['positive']} positive, {v['between']} without loss, "
            f"{v['negative']} negative. {v['reached']} of {len(self.objects)} objects are reached, "
            f"by an IoU of at least {self.setting('positive IoU'):.2f}; the best anchor of an "
            f"object has an IoU of {v['best']:.2f} on average."
        )
