"""A training curve that is updated during training."""

from __future__ import annotations

from typing import Any, Self

from seglib.errors import SeglibError
from seglib.plotting.curves import metric_name, training_curve
from seglib.plotting.panels import Figure
from seglib.training.history import Progress


class LiveCurve:
    """A training curve that redraws itself in place while a notebook cell trains.

        with LiveCurve(steps=300) as live:
            for step in range(300):
                live.update(step, loss=..., accuracy=...)

        with LiveCurve(steps=300) as live:
            train(model, dataset, config, on_step=live)

    The cell keeps the final `figure()`. The curve is redrawn after fixed numbers of steps, not by
    the clock, so that the same numbers always give the same cell.

    Attributes:
        losses: the losses so far.
        metrics: name → (step, value) pairs so far.
    """

    def __init__(
        self, steps: int, *, title: str = "Training", redraws: int = 10, log: bool = False
    ) -> None:
        """`redraws` is the number of updates during training, each of which takes time."""
        if steps < 1:
            raise SeglibError(f"LiveCurve needs at least one step, got {steps}")
        self.every = max(1, steps // redraws)
        self.title, self.log = title, log
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.metrics: dict[str, list[tuple[int, float]]] = {}
        self._handle: Any = None
        self._drawn = 0

    def update(self, step: int, loss: float | None = None, **metrics: float) -> None:
        """Record the loss and the metrics of a step (counted from 0)."""
        if loss is not None:
            self.steps.append(step + 1)
            self.losses.append(float(loss))
        for name, value in metrics.items():
            self.metrics.setdefault(metric_name(name), []).append((step + 1, float(value)))
        if len(self.losses) - self._drawn >= self.every:
            self._show()

    def __call__(self, progress: Progress) -> None:
        """Record a step of `training.train` or `training.overfit`, as their `on_step`."""
        self.update(progress.step - 1, progress.loss)

    def figure(self) -> Figure:
        """The curve so far."""
        return training_curve(
            self.losses, self.metrics, steps=self.steps, title=self.title, log=self.log
        )

    def finish(self) -> None:
        """Draw the final curve."""
        if self.losses:
            self._show()

    def _show(self) -> None:
        self._drawn = len(self.losses)
        shell = _notebook()
        if shell is None:
            return
        if self._handle is None:
            self._handle = shell.display(self.figure(), display_id=True)
        else:
            self._handle.update(self.figure())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.finish()


def _notebook() -> Any:
    """IPython's display module in a notebook kernel, else None, since scripts show no pictures."""
    try:
        from IPython import display, get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    return display if shell is not None and hasattr(shell, "kernel") else None
