"""An explorer of non-maximum suppression, one box at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import box_iou
from seglib.plotting.detection import draw_nms_states, picture_under
from seglib.plotting.panels import Figure, image_panels
from seglib.plotting.style import styled
from seglib.widgets.explorer import Explorer, choice, slider

WITHIN = "within a class"


class NMSStepper(Explorer):
    """Go down the ranking: each waiting box is kept and suppresses those that it overlaps.

    `values`: the indices of the `kept`, `suppressed` and `waiting` boxes, `current` (the box kept
    last, -1 at first), `candidates` (the number of boxes above the lowest score), and `done`.
    """

    process = "step"

    def __init__(
        self,
        image: Tensor,
        boxes: Tensor,
        scores: Tensor,
        labels: Tensor | None = None,
        names: Sequence[str] = (),
        *,
        threshold: float = 0.5,
        lowest: float = 0.05,
    ) -> None:
        """Boxes [N, 4] with scores [N] on `image` [3, H, W]; `names` are written at the boxes.

        `labels` [N] are the classes, for suppression within a class.
        """
        labels = torch.zeros(len(boxes), dtype=torch.int64) if labels is None else labels
        if boxes.shape != (len(scores), 4) or labels.shape != scores.shape or len(scores) == 0:
            raise SeglibError(
                "NMSStepper needs boxes [N, 4], scores [N] and labels [N], got "
                f"{list(boxes.shape)}, {list(scores.shape)} and {list(labels.shape)}"
            )
        self.image, self.boxes, self.scores, self.labels = image, boxes, scores, labels
        self.names = list(names) or [""] * len(boxes)
        super().__init__(
            {
                "step": slider("step", 0, 0, len(boxes)),
                "IoU threshold": slider("IoU threshold", threshold, 0.05, 0.95, 0.05),
                "lowest score": slider("lowest score", lowest, 0.0, 0.95, 0.05),
                "suppress": choice("suppress", [WITHIN, "across classes"], WITHIN),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """The first steps and the last, at several thresholds, with and without classes."""
        last = len(self.boxes)
        return {
            "step": [step for step in (0, 1, 2, 3, 5, 8) if step < last] + [last],
            "IoU threshold": [0.3, 0.6, 0.65],
            "suppress": list(self.controls["suppress"].options),
        }

    def compute(self) -> dict[str, Any]:
        """Greedy suppression, stopped after `step` kept boxes."""
        overlaps = box_iou(self.boxes, self.boxes) > self.setting("IoU threshold")
        if self.setting("suppress") == WITHIN:
            overlaps &= self.labels[:, None] == self.labels
        order = self.scores.argsort(descending=True, stable=True)
        waiting = [i for i in order.tolist() if self.scores[i] > self.setting("lowest score")]
        candidates = len(waiting)
        kept: list[int] = []
        suppressed: list[int] = []
        while waiting and len(kept) < self.setting("step"):
            best, *rest = waiting
            kept.append(best)
            suppressed += [i for i in rest if overlaps[best, i]]
            waiting = [i for i in rest if not overlaps[best, i]]
        return {
            "kept": kept,
            "suppressed": suppressed,
            "waiting": waiting,
            "current": kept[-1] if kept else -1,
            "candidates": candidates,
            "done": not waiting,
        }

    @styled
    def figure(self) -> Figure:
        """The boxes over the image, coloured by their state."""
        fig, (axes,) = image_panels(self.image, 1, panel=3.3)
        picture_under(axes, self.image)
        v = self.values
        states = {i: name for name in ("waiting", "suppressed", "kept") for i in v[name]}
        states[v["current"]] = "current"
        shown = [i for i in range(len(self.boxes)) if i in states]
        texts = [f"{self.names[i]} {self.scores[i]:.2f}".strip() for i in shown]
        draw_nms_states(axes, self.boxes[shown], [states[i] for i in shown], texts)
        axes.set_title("red: kept now · green: kept · blue: waiting · dashed: suppressed")
        axes.title.set_fontsize(7.5)
        return fig

    def summary(self) -> str:
        """The counts after this step."""
        v = self.values
        end = " No box is waiting: done." if v["done"] else ""
        return (
            f"{v['candidates']} boxes above the lowest score: {len(v['kept'])} kept, "
            f"{len(v['suppressed'])} suppressed, {len(v['waiting'])} waiting.{end}"
        )
