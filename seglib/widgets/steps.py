"""Buttons that go through a process: one step back, play or pause, one step forward."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

INTERVAL = 1000  # milliseconds between two steps while playing


class StepButtons:
    """Three buttons beside a control; nothing plays until the button is pressed.

    Attributes:
        back: one step back.
        play: starts and pauses; at the end it starts from the beginning.
        forward: one step forward.
        timer: counts in the browser; it is hidden, because its own buttons have no names.
        panel: the control with its buttons.
    """

    def __init__(self, control: Any, step: int = 1) -> None:
        """`control`: a slider of integers, or a list, whose entries are gone through."""
        self._control, self._step = control, step
        self._trait = "index" if hasattr(control, "index") else "value"
        name = control.description
        self.back = _button("step-backward", f"{name}: one step back")
        self.play = _button("play", f"{name}: play")
        self.forward = _button("step-forward", f"{name}: one step forward")
        self.timer = widgets.Play(
            min=self._first,
            max=self._last,
            value=self._place,
            step=step,
            interval=INTERVAL,
            layout=widgets.Layout(display="none"),
        )
        widgets.link((control, self._trait), (self.timer, "value"))
        if self._trait == "value":
            widgets.link((control, "max"), (self.timer, "max"))
        self.back.on_click(lambda _: self._move(-step))
        self.forward.on_click(lambda _: self._move(step))
        self.play.on_click(lambda _: self._toggle())
        self.timer.observe(lambda _: self._show_playing(), names="playing")
        buttons = [self.back, self.play, self.forward, self.timer]
        self.panel = widgets.HBox(
            [control, *buttons], layout=widgets.Layout(align_items="center", flex_flow="row wrap")
        )

    @property
    def _first(self) -> int:
        return 0 if self._trait == "index" else int(self._control.min)

    @property
    def _last(self) -> int:
        options = self._trait == "index"
        return len(self._control.options) - 1 if options else int(self._control.max)

    @property
    def _place(self) -> int:
        return int(getattr(self._control, self._trait))

    def _go(self, place: int) -> None:
        setattr(self._control, self._trait, min(max(place, self._first), self._last))

    def _move(self, by: int) -> None:
        self.timer.playing = False
        self._go(self._place + by)

    def _toggle(self) -> None:
        if not self.timer.playing and self._place + self._step > self._last:
            self._go(self._first)
        self.timer.playing = not self.timer.playing

    def _show_playing(self) -> None:
        playing = self.timer.playing
        self.play.icon = "pause" if playing else "play"
        self.play.tooltip = f"{self._control.description}: {'pause' if playing else 'play'}"


def _button(icon: str, tooltip: str) -> Any:
    return widgets.Button(icon=icon, tooltip=tooltip, layout=widgets.Layout(width="2.6em"))
