"""An explorer of IoU: two boxes, and a threshold that decides between true and false positive."""

from __future__ import annotations

from typing import Any

import torch

from seglib.ops.boxes import box_area, box_iou
from seglib.plotting.iou import draw_iou
from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import PALE, styled
from seglib.widgets.explorer import Explorer, slider, span


class IoUExplorer(Explorer):
    """Move the edges of a true and a predicted box, and the IoU threshold.

    `values`: `intersection`, `union`, `iou`, and `verdict` (true or false positive).
    """

    def __init__(
        self,
        truth: tuple[int, int, int, int] = (20, 20, 80, 70),
        predicted: tuple[int, int, int, int] = (35, 30, 95, 80),
        size: int = 120,
    ) -> None:
        """Initial boxes (x0, y0, x1, y1) within a square of `size` pixels."""
        self.size = size
        super().__init__(
            {
                "truth x": span("truth x", (truth[0], truth[2]), 0, size),
                "truth y": span("truth y", (truth[1], truth[3]), 0, size),
                "predicted x": span("predicted x", (predicted[0], predicted[2]), 0, size),
                "predicted y": span("predicted y", (predicted[1], predicted[3]), 0, size),
                "threshold": slider("threshold", 0.5, 0.05, 0.95, 0.05),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """The predicted box, moved along its two axes, and two thresholds."""
        x, y = self.setting("predicted x"), self.setting("predicted y")
        return {
            "predicted x": self._moved(x, (-15, -10, -5, 5, 15, 30)),
            "predicted y": self._moved(y, (-10, -5, 10, 25)),
            "threshold": [0.5, 0.75],
        }

    def _moved(self, edges: tuple[int, int], steps: tuple[int, ...]) -> list[tuple[int, int]]:
        """Both edges moved by each step, within the square."""
        moved = [(edges[0] + step, edges[1] + step) for step in steps]
        return [(low, high) for low, high in moved if low >= 0 and high <= self.size]

    def boxes(self) -> torch.Tensor:
        """[2, 4]: the true box, then the predicted one."""
        corners = []
        for name in ("truth", "predicted"):
            (x0, x1), (y0, y1) = self.setting(f"{name} x"), self.setting(f"{name} y")
            corners.append([x0, y0, x1, y1])
        return torch.tensor(corners, dtype=torch.float64)

    def compute(self) -> dict[str, Any]:
        """IoU by `ops.box_iou`; a detection is a true positive if it reaches the threshold."""
        boxes = self.boxes()
        iou = float(box_iou(boxes[:1], boxes[1:])[0, 0])
        total = float(box_area(boxes).sum())
        # From iou = i / u and i + u = total.
        union = total / (1 + iou)
        hit = iou >= self.setting("threshold") - 1e-9
        return {
            "intersection": round(total - union, 6),
            "union": round(union, 6),
            "iou": iou,
            "verdict": "true positive" if hit else "false positive",
        }

    @styled
    def figure(self) -> Figure:
        """Both boxes, with their intersection hatched."""
        fig, grid = figure(panel=(6.4, 3.4))
        truth, predicted = self.boxes()
        iou = draw_iou(grid[0, 0], truth, predicted, ("truth", "predicted"))
        threshold, verdict = self.setting("threshold"), self.values["verdict"]
        sign = "≥" if verdict == "true positive" else "<"
        grid[0, 0].set_title(f"IoU = {iou:.3f} {sign} {threshold:.2f}: {verdict}")
        grid[0, 0].spines[:].set(visible=True, color=PALE)
        grid[0, 0].set(xlim=(-2, self.size + 2), ylim=(self.size + 2, -2))
        return fig

    def summary(self) -> str:
        """The IoU and the verdict."""
        v = self.values
        return (
            f"IoU = {v['intersection']:g} / {v['union']:g} = {v['iou']:.3f}; at a threshold of "
            f"{self.setting('threshold'):.2f} the detection is a {v['verdict']}."
        )
