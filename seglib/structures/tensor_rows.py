"""What targets and predictions share: moving between devices, and selecting rows."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Self

import torch
from torch import Tensor


class Movable:
    """A dataclass of tensors that moves between devices with `.to(device)`."""

    def to(self, device: torch.device | str) -> Self:
        """A copy with every tensor on `device`."""
        moved = {
            f.name: value.to(device)
            for f in fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, f.name), Tensor | Movable)
        }
        return replace(self, **moved)  # type: ignore[type-var]


class TensorRows(Movable):
    """A dataclass whose tensors have one row per object, and which can be indexed by row."""

    _per_row: tuple[str, ...] = ()

    def __getitem__(self, index: Tensor | slice | list[int]) -> Any:
        rows = {
            name: getattr(self, name)[index]
            for name in self._per_row
            if getattr(self, name) is not None
        }
        return replace(self, **rows)  # type: ignore[type-var]
