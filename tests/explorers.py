"""A check for every explorer: each of its controls changes the numbers and the picture."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from seglib.plotting.layout import place, placing_of
from seglib.plotting.redrawing import layout_kind
from seglib.plotting.style import STYLE
from seglib.plotting.words import Memory, WordCanvas
from seglib.widgets import Explorer


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The values, with tensors as lists, so that they can be compared."""
    return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in values.items()}


def check_every_control(explorer: Explorer, moves: dict[str, Any]) -> None:
    """Move one control after another; values and picture must change each time.

    Args:
        explorer: newly built.
        moves: every control by name → a value other than its present one.
    """
    assert set(moves) == set(explorer.controls)
    check_values_ahead(explorer)
    for name, value in moves.items():
        before, picture = plain(explorer.values), explorer._picture.value
        explorer.controls[name].value = value
        assert plain(explorer.values) != before, name
        assert explorer._picture.value != picture, name
        assert explorer.summary() in explorer._words.value
        check_redrawn(explorer)


def check_values_ahead(explorer: Explorer) -> None:
    """What `ahead` offers are values of the controls, and few enough to draw them all."""
    combinations = 1
    for name, values in explorer.ahead().items():
        control = explorer.controls[name]
        combinations *= len({*values, control.value})
        for value in values:
            ends = value if isinstance(value, tuple) else (value,)
            if options := getattr(control, "options", None):
                assert value in options, name
            else:
                assert all(control.min <= end <= control.max for end in ends), name
    assert combinations <= 100


def check_redrawn(explorer: Explorer) -> None:
    """The picture drawn on kept axes equals one drawn from scratch with this layout."""
    encoded = explorer._picture.value.partition("base64,")[2].partition('"')[0]
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
    fig, own = explorer.figure(), explorer.figure()
    own.pixels()
    kept = explorer._redrawing.placings[layout_kind(fig)]
    fig.set_layout_engine("none")
    with mpl.rc_context(STYLE):
        place(fig, kept)
        canvas = WordCanvas(fig, Memory())
        canvas.draw()
    assert np.array_equal(shown, np.asarray(canvas.buffer_rgba())[..., :3])
    assert kept.size == pytest.approx(placing_of(own).size)
    for (there, *_), (here, *_) in zip(kept.panels, placing_of(own).panels, strict=True):
        gaps = np.abs(there.get_points() - here.get_points()) * fig.get_size_inches() * fig.dpi
        assert gaps.max() < 8  # px: the label of an axis may end elsewhere
