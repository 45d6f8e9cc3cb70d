"""A window to slide and resize over an image: what the network answers there, and the rules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seglib.models.base import PIXEL_MEAN, PIXEL_STD
from seglib.models.deepmask import DeepMask
from seglib.models.deepmask.canonical import window_labels
from seglib.models.deepmask.patches import GREY
from seglib.models.deepmask.windows import crop_windows
from seglib.ops.mask_paste import paste_masks
from seglib.ops.masks import mask_iou
from seglib.ops.upsampling import interpolate
from seglib.plotting.style import Figure
from seglib.plotting.windows import show_window
from seglib.structures import Target
from seglib.widgets.explorer import Explorer, slider

WORDS = {1: "positive", 0: "not used", -1: "negative"}


class SlidingWindow(Explorer):
    """Where a DeepMask looks: the middle of its window and the scale.

    `values`: `window` (x0, y0, x1, y1) in pixels, `score` 0…1, `mask` bool [H, W] at the image's
    size, `area` of that mask in px², `object`, the row of the true object that the mask overlaps
    most (None: nothing), `iou` with it, and `verdict`, what the paper's rule calls the window.
    """

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
        """Start in the middle of the image, at its own scale.

        Args:
            model: looks through the window.
            image: float [3, H, W] in 0…1.
            target: its objects; crowds are left out.
            x: of the window's middle at the start, in pixels.
            y: likewise.
            octave: log2 of the factor by which the image is enlarged under the window.
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

    def compute(self) -> dict[str, Any]:
        """Cut the window out and run the network on it, as in training."""
        usual = self.model.config.image_size
        zoom = 1.0 if usual is None else usual / max(self.image.shape[-2:])
        half = self.model.config.patch / 2 / (zoom * 2 ** self.setting("octave"))
        x, y = self.setting("x"), self.setting("y")
        window = torch.tensor([[x - half, y - half, x + half, y + half]])
        soft, score = self._look(window)
        mask = paste_masks(soft, window, self.objects.size, self.model.config.mask_threshold)
        ious = mask_iou(mask, self.objects.masks)[0]
        best = int(ious.argmax()) if len(ious) and ious.max() > 0 else None
        return {
            "window": [round(v, 2) for v in window[0].tolist()],
            "score": score,
            "mask": mask[0],
            "area": int(mask.sum()),
            "object": best,
            "iou": 0.0 if best is None else float(ious[best]),
            "verdict": WORDS[self._label(window)],
        }

    def _look(self, window: Tensor) -> tuple[Tensor, float]:
        """The mask [1, T, T] in 0…1, at the loss's resolution, and the score in 0…1 of a window."""
        model, rules = self.model, self.model.rules
        margin = rules.context / rules.patch * (window[:, 2:] - window[:, :2])
        wide = torch.cat([window[:, :2] - margin, window[:, 2:] + margin], dim=1)
        seen = crop_windows(self.image, wide, rules.window, GREY)
        mean, std = (torch.tensor(v)[:, None, None] for v in (PIXEL_MEAN, PIXEL_STD))
        with model.evaluating():
            maps = model.network((seen - mean) / std)
            logits = model.masks(maps.codes.flatten(1))[:, None]
            fine = (model.config.mask_target, model.config.mask_target)
            soft = interpolate(logits, fine, "bilinear")[:, 0].sigmoid()
        return soft, float(maps.scores[0, 0, 0].sigmoid())

    def _label(self, window: Tensor) -> int:
        """1 if the window is right for some object, -1 if it is far from all, else 0."""
        config = self.model.config
        labels = window_labels(window, self.objects.boxes, config.patch, config.shift)[0]
        return 1 if (labels > 0).any() else -1 if (labels < 0).all() else 0

    def figure(self) -> Figure:
        """The window on the image with the mask that the network draws, and the patch it sees."""
        window = torch.tensor([self.values["window"]])
        patch = crop_windows(self.image, window, 4 * self.model.config.patch, GREY)[0]
        soft, _ = self._look(window)
        row = self.values["object"]
        return show_window(
            self.image,
            self.values["window"],
            {"what it sees": patch, "what it answers": soft[0]},
            box=None if row is None else self.objects.boxes[row].tolist(),
            mask=self.values["mask"],
            title=f"score {self.values['score']:.2f}, mask IoU {self.values['iou']:.2f}",
        )

    def summary(self) -> str:
        """The window, its score, and what the rule says."""
        v, side = self.values, self.values["window"][2] - self.values["window"][0]
        return (
            f"A window of {side:.0f} px: score {v['score']:.2f}; its mask has {v['area']} pixels "
            f"and an IoU of {v['iou']:.2f} with the object that it overlaps most. By the rule of "
            f"the paper this window is {v['verdict']}."
        )
