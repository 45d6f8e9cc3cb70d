"""The base of all explorers: controls that recompute numbers, and a picture of them."""

from __future__ import annotations

import base64
import html
import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import ipywidgets as widgets

from seglib.errors import SeglibError
from seglib.plotting.panels import Figure
from seglib.plotting.redrawing import Redrawing
from seglib.widgets.steps import StepButtons


class Explorer(ABC):
    """A panel of controls above a picture; each change recomputes `values` and redraws it.

    The picture is a PNG in the widget's state, so that a saved notebook and the book show the last
    one without a kernel. It is part of HTML, which can contain alternative text.

    Attributes:
        process: the control, if any, along which a process runs: it has buttons to step and play.
        stride: how far that control moves in one step.
        controls: name → widget.
        values: the numbers computed from the controls.
        steps: the buttons of the process.
        panel: what is displayed.
    """

    process: ClassVar[str | None] = None
    stride: ClassVar[int] = 1

    def __init__(self, controls: dict[str, Any]) -> None:
        self.controls = controls
        self.values: dict[str, Any] = {}
        self._redrawing = Redrawing()
        self._picture = widgets.HTML()
        self._words = widgets.HTML()
        self.steps = StepButtons(controls[self.process], self.stride) if self.process else None
        rows = [
            self.steps.panel if self.steps and name == self.process else control
            for name, control in controls.items()
        ]
        self.panel = widgets.VBox([widgets.VBox(rows), self._picture, self._words])
        for control in controls.values():
            control.observe(self._refresh, names="value")
        self._refresh()

    @abstractmethod
    def compute(self) -> dict[str, Any]:
        """The numbers for the current settings, computed by seglib's own functions."""

    @abstractmethod
    def figure(self) -> Figure:
        """The picture for the current settings and `values`."""

    @abstractmethod
    def summary(self) -> str:
        """The numbers in words, shown below the picture and read by screen readers."""

    def ahead(self) -> dict[str, list[Any]]:
        """Values of controls for pages without a kernel, which show all their combinations.

        By default there are none, and such a page shows only the picture.
        """
        return {}

    def setting(self, name: str) -> Any:
        """The current value of control `name`."""
        return self.controls[name].value

    def set(self, **settings: Any) -> dict[str, Any]:
        """Set controls by name, with underscores for spaces; returns the new `values`."""
        for key, value in settings.items():
            name = key if key in self.controls else key.replace("_", " ")
            if name not in self.controls:
                raise SeglibError(f"no control {name!r}: choose among {list(self.controls)}")
            self.controls[name].value = value
        return self.values

    @property
    def png(self) -> bytes:
        """The picture for the current settings as a small PNG file."""
        return self.figure().png()

    def _refresh(self, change: Any = None) -> None:
        """Recompute and redraw: first as a small file, then as fast as possible."""
        self.values = self.compute()
        words = self.summary()
        png = self.png if change is None else self._redrawing.png(self.figure)
        self._picture.value = picture_tag(png, f"{type(self).__name__}: {words}")
        self._words.value = f"<div>{words}</div>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = self.panel._repr_mimebundle_()
        return {**bundle, "text/plain": f"{type(self).__name__}: {self.summary()}"}


def picture_tag(png: bytes, words: str) -> str:
    """A picture for an HTML widget, with words for those who cannot see it."""
    data = base64.b64encode(png).decode("ascii")
    source = f"data:image/png;base64,{data}"
    return f'<img alt="{alternative_text(words)}" src="{source}" style="max-width: 100%">'


def alternative_text(words: str) -> str:
    """Words without tags, as the value of an `alt` attribute."""
    return html.escape(html.unescape(re.sub("<[^>]*>", " ", words)), quote=True)


def slider(name: str, value: float, low: float, high: float, step: float = 1) -> Any:
    """A labelled slider, of integers if `value` is one."""
    kind = widgets.IntSlider if isinstance(value, int) else widgets.FloatSlider
    limits = {"min": low, "max": high, "step": step}
    return _control(kind, name, value=value, **limits)


def span(name: str, value: tuple[int, int], low: int, high: int) -> Any:
    """A labelled slider with two handles."""
    limits = {"min": low, "max": high}
    return _control(widgets.IntRangeSlider, name, value=value, **limits)


def choice(name: str, options: list[Any], value: Any) -> Any:
    """A labelled drop-down list."""
    return _control(widgets.Dropdown, name, value=value, options=options)


def _control(kind: Any, name: str, **settings: Any) -> Any:
    style, layout = {"description_width": "9em"}, widgets.Layout(width="28em")
    return kind(description=name, tooltip=name, style=style, layout=layout, **settings)
