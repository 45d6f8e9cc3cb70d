"""An explorer of skip connections: a weighted sum of score maps of several strides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from seglib.errors import SeglibError
from seglib.metrics.mean_iou import confusion_matrix, mean_iou, pixel_accuracy
from seglib.ops.upsampling import interpolate
from seglib.plotting.canvas import to_numpy
from seglib.plotting.panels import Figure
from seglib.plotting.segments import score_maps
from seglib.structures import Categories
from seglib.widgets.explorer import Explorer, slider


class SkipMixer(Explorer):
    """One weight for each score map; the weighted sum is computed at full size.

    `values`: `mean_iou` and `pixel_accuracy` of the sum on this image, `best_single`, the mean
    IoU of the best map alone, and `labels` [H, W].
    """

    def __init__(
        self, image: Any, scores: Mapping[str, Any], truth: Any, categories: Categories
    ) -> None:
        """Start with every weight at 1.

        Args:
            image: float [3, H, W] in 0…1.
            scores: name, such as "stride 32", → scores [C+1, h, w] of any resolution.
            truth: labels [H, W] with 0 for background and 255 for ignored.
            categories: the meaning of the labels.

        Raises:
            SeglibError: no scores, or scores for another number of classes.
        """
        self.image, self.categories = image, categories
        self.truth = torch.as_tensor(to_numpy(truth)).long()
        size = (self.truth.shape[0], self.truth.shape[1])
        self.scores = {}
        for name, values in scores.items():
            score = torch.as_tensor(to_numpy(values)).float()
            if score.ndim != 3 or len(score) != len(categories) + 1:
                raise SeglibError(
                    f"scores {name!r} must be [{len(categories) + 1}, h, w], "
                    f"got {list(score.shape)}"
                )
            self.scores[name] = interpolate(score[None], size)[0]
        if not self.scores:
            raise SeglibError("SkipMixer needs at least one score map")
        self.best_single = max(self._measure(score.argmax(0))[0] for score in self.scores.values())
        super().__init__({name: slider(name, 1.0, 0.0, 2.0, 0.1) for name in self.scores})

    def ahead(self) -> dict[str, list[Any]]:
        """Each score map left out, halved, unchanged and doubled."""
        return {name: [0.0, 0.5, 1.0, 2.0] for name in self.scores}

    def compute(self) -> dict[str, Any]:
        """Sum the weighted maps, take the arg-max, and measure with `metrics.mean_iou`."""
        mix = torch.stack([self.setting(name) * score for name, score in self.scores.items()])
        labels = mix.sum(0).argmax(0)
        mean, accuracy = self._measure(labels)
        return {
            "mean_iou": mean,
            "pixel_accuracy": accuracy,
            "best_single": self.best_single,
            "labels": labels,
        }

    def _measure(self, labels: torch.Tensor) -> tuple[float, float]:
        confusion = confusion_matrix(labels, self.truth, len(self.categories) + 1)
        return mean_iou(confusion), pixel_accuracy(confusion)

    def figure(self) -> Figure:
        """The image, the label map of the sum, and the truth."""
        return score_maps(self.image, {"Mix": self.values["labels"]}, self.truth, self.categories)

    def summary(self) -> str:
        """The metrics of the sum, and of the best single map."""
        v = self.values
        return (
            f"Mean IoU {v['mean_iou']:.3f}, pixel accuracy {v['pixel_accuracy']:.3f}; "
            f"the best single map has a mean IoU of {v['best_single']:.3f}."
        )
