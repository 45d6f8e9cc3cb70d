"""A check for every explorer: each of its controls changes the numbers and the picture."""

from __future__ import annotations

from typing import Any

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
