"""The table that `seglib eval --errors` prints: the number of errors of each kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from seglib.errors import SeglibError

if TYPE_CHECKING:
    from rich.table import Table

    from seglib.data.datasets import CocoFolder
    from seglib.metrics.error_breakdown import ErrorBreakdown
    from seglib.metrics.error_evaluator import ErrorEvaluator
    from seglib.models.base import Segmenter
    from seglib.structures import Prediction, Target


class ErrorWatcher:
    """Collects the errors of an evaluation's predictions, by masks or, without masks, by boxes.

    Counts refer to the detections with the highest scores, as many as there are objects; gains
    refer to all detections, as AP does.
    """

    def __init__(self, network: Segmenter, data: CocoFolder) -> None:
        """Raises SeglibError if the model predicts no instances."""
        from seglib.metrics.shared_classes import SharedClasses

        if "instances" not in network.tasks:
            raise SeglibError(
                f"--errors needs a model that predicts instances; {network.name} predicts "
                f"{', '.join(network.tasks)}"
            )
        self._name = network.name
        self._shared = SharedClasses(network.categories, data.categories)
        self._evaluator: ErrorEvaluator | None = None

    def __call__(self, prediction: Prediction, target: Target) -> None:
        """Add one image."""
        from seglib.metrics.error_evaluator import ErrorEvaluator

        assert prediction.instances is not None, "the model's tasks promise instances"
        if self._evaluator is None:
            boxes_alone = prediction.instances.masks is None
            self._evaluator = ErrorEvaluator("bbox" if boxes_alone else "segm")
        self._evaluator.update(
            self._shared.predicted_rows(prediction.instances), self._shared.true_rows(target)
        )

    def _breakdowns(self) -> tuple[ErrorBreakdown, ErrorBreakdown]:
        """The breakdown of the best detections, as many as there are objects, and that of all."""
        assert self._evaluator is not None, "an evaluation has at least one image"
        return self._evaluator.compute(self._evaluator.objects), self._evaluator.compute()

    def table(self) -> Table:
        """A rich table to print."""
        from rich.markup import escape
        from rich.table import Table

        best, everything = self._breakdowns()
        table = Table(
            title=escape(f"errors of {self._name}"),
            caption=(
                f"counts: of the {best.detections} detections with the highest scores, for "
                f"{best.objects} objects\ngain: of AP50 {_shown(everything.ap)}, if these errors "
                "alone were repaired in all detections"
            ),
            caption_justify="left",
        )
        table.add_column("what")
        table.add_column("count", justify="right")
        table.add_column("gain", justify="right")
        table.add_row("correct", str(best.correct), "")
        for kind, count in (best.errors | {"missed": best.missed}).items():
            table.add_row(kind, str(count), _shown(everything.gains[kind]))
        return table

    def to_dict(self) -> dict[str, Any]:
        """JSON values: "best" (as many detections as there are objects) and "all"."""
        best, everything = self._breakdowns()
        return {"best": best.to_dict(), "all": everything.to_dict()}


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"
