"""What every explorer shares: controls that recompute numbers, and a picture of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import ipywidgets as widgets

from seglib.errors import SeglibError
from seglib.plotting.style import Figure


class Explorer(ABC):
    """A panel of controls over a picture; each change recomputes `values` and redraws.

    The picture is a PNG in the widget's own state, so that a saved notebook and the book show
    the last one without a kernel.

    Attributes:
        controls: name → the widget that sets it.
        values: the numbers computed from the controls.
        panel: what is displayed.
    """

    def __init__(self, controls: dict[str, Any]) -> None:
        self.controls = controls
        self.values: dict[str, Any] = {}
        self._picture = widgets.Image(
            format="png", layout=widgets.Layout(max_width="100%", align_self="flex-start")
        )
        self._words = widgets.HTML()
        rows = widgets.VBox(list(controls.values()))
        self.panel = widgets.VBox([rows, self._picture, self._words])
        for control in controls.values():
            control.observe(self._refresh, names="value")
        self._refresh()

    @abstractmethod
    def compute(self) -> dict[str, Any]:
        """The numbers for the present controls, by seglib's own functions."""

    @abstractmethod
    def figure(self) -> Figure:
        """The picture for the present controls and `values`."""

    @abstractmethod
    def summary(self) -> str:
        """One sentence with the numbers, for eyes and screen readers."""

    def setting(self, name: str) -> Any:
        """The present value of control `name`."""
        return self.controls[name].value

    def set(self, **settings: Any) -> dict[str, Any]:
        """Move controls from code, spaces written as underscores; returns the new `values`."""
        for key, value in settings.items():
            name = key if key in self.controls else key.replace("_", " ")
            if name not in self.controls:
                raise SeglibError(f"no control {name!r}: choose among {list(self.controls)}")
            self.controls[name].value = value
        return self.values

    def _refresh(self, _: Any = None) -> None:
        self.values = self.compute()
        self._picture.value = self.figure().png()
        self._words.value = f"<div>{self.summary()}</div>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = self.panel._repr_mimebundle_()
        return {**bundle, "text/plain": f"{type(self).__name__}: {self.summary()}"}


def slider(name: str, value: float, low: float, high: float, step: float = 1) -> Any:
    """A labelled slider; whole numbers when value and step are."""
    kind = widgets.IntSlider if isinstance(value, int) else widgets.FloatSlider
    return kind(
        value=value,
        min=low,
        max=high,
        step=step,
        description=name,
        continuous_update=False,
        style={"description_width": "9em"},
        layout=widgets.Layout(width="28em"),
    )


def span(name: str, value: tuple[int, int], low: int, high: int) -> Any:
    """A labelled slider with two handles."""
    return widgets.IntRangeSlider(
        value=value,
        min=low,
        max=high,
        description=name,
        continuous_update=False,
        style={"description_width": "9em"},
        layout=widgets.Layout(width="28em"),
    )


def choice(name: str, options: list[Any], value: Any) -> Any:
    """A labelled list to choose from."""
    return widgets.Dropdown(
        options=options,
        value=value,
        description=name,
        style={"description_width": "9em"},
        layout=widgets.Layout(width="28em"),
    )
