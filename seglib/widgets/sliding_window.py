"""An explorer of DeepMask: a window to move and resize, and the network's output for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seglib.models.deepmask import DeepMask
from seglib.models.deepmask.patches import GREY, with_context
from seglib.models.deepmask.windows import crop_windows, window_labels
from seglib.ops.images import normalise_pixels
from seglib.ops.mask_paste import paste_masks
from seglib.ops.masks import mask_iou
from seglib.plotting.panels import Figure
from seglib.plotting.windows import show_window
from seglib.structures import Target
from seglib.widgets.explorer import Explorer, slider

VERDICTS = {1: "positive", 0: "not used", -1: "negative"}


class SlidingWindow(Explorer):
    """Choose the centre and the scale of DeepMask's window.

    `values`: `window` (x0, y0, x1, y1) in pixels; `score` in 0…1; `mask`, bool [H, W], and its
    `area` in px²; `object`, the row of the true object that the mask overlaps most, or None, and
    the `iou` with it; `verdict`, the label of the window by the paper's rule.
    """

    process = "x"
    stride = 4

    def __init__(
        self,
        model: DeepMask,
        image: Tensor,
        target: Target,
        *,
        x: int | None = None,
        y: int | None = None,
        octave: float = 0.0,
    ) -> None:
        """Start at the centre of the image, at its own scale.

        Args:
            model: applied to the window.
            image: float [3, H, W] in 0…1.
            target: the true objects; crowds are left out.
            x: initial centre of the window in pixels, by default that of the image.
            y: the same for its vertical position.
            octave: initial log2 of the factor by which the image is enlarged.
        """
        self.model, self.image = model, image
        self.objects: Target = target[~target.iscrowd]
        height, width = image.shape[-2:]
        low, high = model.config.octaves
        super().__init__(
            {
                "x": slider("x", width // 2 if x is None else x, 0, width),
                "y": slider("y", height // 2 if y is None else y, 0, height),
                "octave": slider("octave", float(octave), low, high, 0.25),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """A coarse grid of windows of three sizes around the first one."""
        height, width = self.image.shape[-2:]
        x, y, octave = (self.setting(name) for name in ("x", "y", "octave"))
        return {
            "x": [x + step for step in (-24, -12, 12, 24) if 0 <= x + step <= width],
            "y": [y + step for step in (-16, 16) if 0 <= y + step <= height],
            "octave": [octave - 1.0, octave + 1.0],
        }

    def compute(self) -> dict[str, Any]:
        """Crop the window and run the network on it, as in training."""
        zoom = self.model.config.base_scale((self.image.shape[-2], self.image.shape[-1]))
        half = self.model.config.patch / 2 / (zoom * 2 ** self.setting("octave"))
        x, y = self.setting("x"), self.setting("y")
        window = torch.tensor([[x - half, y - half, x + half, y + half]])
        self._soft, score = self._predict(window)
        mask = paste_masks(self._soft, window, self.objects.size, self.model.config.mask_threshold)
        ious = mask_iou(mask, self.objects.masks)[0]
        best = int(ious.argmax()) if len(ious) and ious.max() > 0 else None
        return {
            "window": [round(v, 2) for v in window[0].tolist()],
            "score": score,
            "mask": mask[0],
            "area": int(mask.sum()),
            "object": best,
            "iou": 0.0 if best is None else float(ious[best]),
            "verdict": VERDICTS[self._label(window)],
        }

    def _predict(self, window: Tensor) -> tuple[Tensor, float]:
        """Mask probabilities [1, T, T] at the resolution of the loss, and the score of a window."""
        model = self.model
        wide = with_context(window, model.config)
        seen = crop_windows(self.image, wide, model.config.window, GREY)  # [1, 3, S, S]
        with model.evaluating():
            maps = model.network(normalise_pixels(seen))
            soft = model.mask_logits(maps.codes.flatten(1)).sigmoid()  # [1, T, T]
        return soft, float(maps.scores[0, 0, 0].sigmoid())

    def _label(self, window: Tensor) -> int:
        """1 if the window is positive for some object, -1 if negative for all, else 0."""
        config = self.model.config
        labels = window_labels(window, self.objects.boxes, config.patch, config.shift)[0]
        return 1 if (labels > 0).any() else -1 if (labels < 0).all() else 0

    def figure(self) -> Figure:
        """The window and the predicted mask on the image, the patch, and the mask probabilities."""
        window = torch.tensor([self.values["window"]])
        patch = crop_windows(self.image, window, 4 * self.model.config.patch, GREY)[0]
        row = self.values["object"]
        return show_window(
            self.image,
            self.values["window"],
            {"Patch": patch, "Predicted mask": self._soft[0]},
            box=None if row is None else self.objects.boxes[row].tolist(),
            mask=self.values["mask"],
            title=f"score {self.values['score']:.2f}, mask IoU {self.values['iou']:.2f}",
        )

    def summary(self) -> str:
        """The window, its score, its mask, and its label by the paper's rule."""
        v, side = self.values, self.values["window"][2] - self.values["window"][0]
        return (
            f"A window of {side:.0f} px: score {v['score']:.2f}; its mask has {v['area']} pixels "
            f"and an IoU of {v['iou']:.2f} with the object that it overlaps most. By the paper's "
            f"rule, this window is {v['verdict']}."
        )
