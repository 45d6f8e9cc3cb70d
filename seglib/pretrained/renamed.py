"""What weights are called today that files of earlier versions know by another name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

# By model: beginnings of state-dict names, old and new.
_RENAMED: dict[str, dict[str, str]] = {
    "fcn": {"network.trunk.": "network.backbone."},
    "deepmask": {"network.trunk.": "network.backbone."},
}


def with_present_names(model: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors by the names that the model called `model` gives them today."""
    return {_present_name(model, name): value for name, value in tensors.items()}


def _present_name(model: str, name: str) -> str:
    for old, new in _RENAMED.get(model, {}).items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
