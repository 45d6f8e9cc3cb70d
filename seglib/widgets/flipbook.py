"""An explorer drawn ahead in many of its states, for pages without a kernel."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from seglib.widgets.explorer import Explorer

QUALITY = 80  # of WebP, in 0…100


@dataclass(frozen=True)
class Dial:
    """A control with the values that a page offers.

    Attributes:
        label: as in the explorer.
        texts: the values, in their order.
        start: the place of the first value shown.
        slides: whether the values are numbers, which are shown as a slider.
        plays: whether the values are the steps of a process.
    """

    label: str
    texts: list[str]
    start: int
    slides: bool
    plays: bool


@dataclass(frozen=True)
class Frame:
    """One state: the place of each dial, the picture (PNG or WebP), and the numbers in words."""

    places: tuple[int, ...]
    picture: bytes
    words: str


@dataclass(frozen=True)
class Flipbook:
    """All frames of an explorer.

    Attributes:
        name: the explorer's class.
        dials: the controls that can be moved.
        frames: the states, each once.
        table: for each combination of places, the last dial fastest, the number of its frame. Where
            the explorer does not allow a combination, this is the frame that it falls back to.
    """

    name: str
    dials: list[Dial]
    frames: list[Frame]
    table: list[int]

    @property
    def start(self) -> int:
        """The number of the frame that is shown first."""
        place = 0
        for dial in self.dials:
            place = place * len(dial.texts) + dial.start
        return self.table[place]


def draw_flipbook(explorer: Explorer) -> Flipbook:
    """Draw every combination of the values that `explorer.ahead()` names.

    The present value of a control is added to its values. The explorer is left in the last state.
    """
    grid = {name: _offered(explorer, name, values) for name, values in explorer.ahead().items()}
    dials = [
        Dial(
            label=explorer.controls[name].description,
            texts=[_text(value) for value in values],
            start=values.index(explorer.setting(name)),
            slides=not isinstance(values[0], str),
            plays=name == explorer.process,
        )
        for name, values in grid.items()
    ]
    numbers: dict[tuple[int, ...], int] = {}
    frames: list[Frame] = []
    table = []
    for combination in itertools.product(*grid.values()):
        places = _settle(explorer, grid, combination)
        if places not in numbers:
            numbers[places] = len(frames)
            frames.append(Frame(places, _smallest(explorer.png), explorer.summary()))
        table.append(numbers[places])
    return Flipbook(type(explorer).__name__, dials, frames, table)


def _offered(explorer: Explorer, name: str, values: Sequence[Any]) -> list[Any]:
    """The values with the current one added; those of a list in its order, numbers ascending."""
    wanted = {*values, explorer.setting(name)}
    options = getattr(explorer.controls[name], "options", None)
    return [value for value in options if value in wanted] if options else sorted(wanted)


def _settle(
    explorer: Explorer, grid: dict[str, list[Any]], combination: tuple[Any, ...]
) -> tuple[int, ...]:
    """Set the controls; where the explorer limits one, take the largest value that it allows."""
    for name, value in zip(grid, combination, strict=True):
        explorer.controls[name].value = value
    places = []
    for name, values in grid.items():
        reached = explorer.setting(name)
        if reached not in values:
            reached = max(value for value in values if value <= reached)
            explorer.controls[name].value = reached
        places.append(values.index(reached))
    return tuple(places)


def _smallest(png: bytes) -> bytes:
    """The picture as PNG or WebP, whichever is smaller: drawings as PNG, photographs as WebP."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(buffer, "WEBP", quality=QUALITY)
    return min(png, buffer.getvalue(), key=len)


def _text(value: Any) -> str:
    """A value for readers: (35, 95) is "35 to 95", and numbers have at most two decimals."""
    if isinstance(value, tuple):
        return " to ".join(map(_text, value))
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
