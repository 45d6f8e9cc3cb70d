"""Anchors to turn: which of them learn an object, which learn "nothing", and who goes without."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seglib.errors import SeglibError
from seglib.nn.anchors import cell_anchors, grid_anchors
from seglib.ops.assignment import assign_boxes
from seglib.ops.boxes import box_iou
from seglib.plotting.detection import draw_boxes, picture_under
from seglib.plotting.style import BLUE, GREEN, ORANGE, VERMILION, Figure, figure, styled
from seglib.widgets.explorer import Explorer, choice, slider

RATIOS = {"1:1": (1.0,), "1:2, 1:1, 2:1": (0.5, 1.0, 2.0), "1:2, 2:1": (0.5, 2.0)}


class AnchorExplorer(Explorer):
    """Lay anchors over an image and label them, as a region proposal network is taught.

    `values`: `anchors` laid, `positive`, `negative` and `between` (no loss), `reached` objects
    that some anchor overlaps by the positive threshold, and `best`, the mean over the objects of
    the largest overlap that any anchor has with them.
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
            raise SeglibError(f"AnchorExplorer needs boxes [G, 4], got {list(objects.shape)}")
        self.image, self.objects = image, objects.float()
        super().__init__(
            {
                "stride": choice("stride", [4, 8, 16, 32], stride),
                "size": slider("size", size, 6, 96, 2),
                "ratios": choice("height : width", list(RATIOS), "1:2, 1:1, 2:1"),
                "positive IoU": slider("positive IoU", positive, 0.3, 0.9, 0.05),
                "negative IoU": slider("negative IoU", negative, 0.1, 0.9, 0.05),
                "every object": choice("every object its best anchor", ["yes", "no"], "yes"),
            }
        )

    def anchors(self) -> Tensor:
        """[N, 4] by `nn.anchors`, at every cell of the chosen stride."""
        height, width = self.image.shape[-2:]
        stride = self.setting("stride")
        cell = cell_anchors([float(self.setting("size"))], RATIOS[self.setting("ratios")])
        return grid_anchors(cell, (-(-height // stride), -(-width // stride)), stride)

    def compute(self) -> dict[str, Any]:
        """Label all anchors by `ops.assign_boxes`; a lower threshold never exceeds the upper."""
        overlaps = box_iou(self.objects, self.anchors())  # [G, N]
        high = self.setting("positive IoU")
        low = min(self.setting("negative IoU"), high)
        labels, _ = assign_boxes(overlaps, high, low, self.setting("every object") == "yes")
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
        """Dots where anchors lie, the positive ones as boxes over the objects."""
        height, width = self.image.shape[-2:]
        fig, grid = figure(panel=(3.3, 3.3 * height / width))
        axes = picture_under(grid[0, 0], self.image)
        anchors, labels = self.anchors(), self.values["labels"]
        for value, shade, size in ((0, BLUE, 1.5), (-1, ORANGE, 3.0), (1, VERMILION, 4.0)):
            centers = (anchors[labels == value, :2] + anchors[labels == value, 2:]) / 2
            axes.plot(*centers.T.numpy(), "o", color=shade, markersize=size, zorder=2)
        draw_boxes(axes, self.objects, GREEN, linewidth=2.4)
        draw_boxes(axes, anchors[labels == 1], VERMILION)
        v = self.values
        axes.set_title(
            f"{v['positive']} positive (red), {v['between']} without loss (orange), "
            f"{v['negative']} negative (blue)\ngreen: the objects, {v['reached']} of them reached"
        )
        axes.title.set_fontsize(7.5)
        return fig

    def summary(self) -> str:
        """The counts, and how well the objects are covered."""
        v = self.values
        return (
            f"{v['anchors']} anchors: {v['positive']} positive, {v['between']} without loss, "
            f"{v['negative']} negative. {v['reached']} of {len(self.objects)} objects are reached; "
            f"the best anchor of an object overlaps it by {v['best']:.2f} on average."
        )
