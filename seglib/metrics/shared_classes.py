"""Compare a model and a data set with different classes by the classes that both have."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.structures import BACKGROUND, IGNORE, Categories, Instances, Panoptic, Target

Row = TypeVar("Row", Instances, Target)

_DROPPED = 0


class SharedClasses:
    """The classes that a model and a data set have in common, by name, with labels of their own.

    Attributes:
        categories: the shared classes in the data set's order, labelled 1…S.
        of_model, of_dataset: int64, a label → the shared label, or 0 if not shared; both have
            entries for background (0) and for ignored pixels (255).
    """

    def __init__(self, of_model: Categories, of_dataset: Categories) -> None:
        """Raises SeglibError if model and data set have no class name in common."""
        self._asked, self._known = of_dataset, of_model
        names = [name for name in of_dataset.names if name in of_model.names]
        if not names:
            raise SeglibError(
                "model and data set have no class in common: the model knows "
                f"{_listed(of_model.names)}, the data set has {_listed(of_dataset.names)}"
            )
        self.categories = Categories(
            replace(of_dataset.by_name(name), label=label)
            for label, name in enumerate(names, start=1)
        )
        self.of_model, self.of_dataset = (
            self._lookup(categories) for categories in (of_model, of_dataset)
        )

    def _lookup(self, categories: Categories) -> Tensor:
        table = torch.full((max(len(categories), IGNORE) + 1,), _DROPPED)
        for label, shared_label in categories.shared_with(self.categories).items():
            table[label] = shared_label
        return table

    def notes(self) -> list[str]:
        """One line that names the shared classes; none if all are shared."""
        shared, known, asked = len(self.categories), len(self._known), len(self._asked)
        if shared == known == asked:
            return []
        return [
            f"scored on the {shared} {'class' if shared == 1 else 'classes'} that the model "
            f"({known}) and the data set ({asked}) share by name: "
            f"{', '.join(self.categories.names)}"
        ]

    def predicted_map(self, labels: Tensor) -> Tensor:
        """A predicted label map in shared labels; other classes become background."""
        return self.of_model[labels.cpu()]

    def true_map(self, labels: Tensor) -> Tensor:
        """A true label map in shared labels; other classes become 255, background stays."""
        labels = labels.cpu()
        shared = self.of_dataset[labels]
        return torch.where((shared == _DROPPED) & (labels != BACKGROUND), IGNORE, shared)

    def predicted_rows(self, instances: Instances) -> Instances:
        """Detections of shared classes only, in shared labels."""
        return _relabelled(instances, self.of_model)

    def true_rows(self, target: Target) -> Target:
        """True objects that an evaluation compares with, of shared classes, in shared labels."""
        return _relabelled(target.to_find, self.of_dataset)

    def predicted_panoptic(self, panoptic: Panoptic) -> Panoptic:
        """Predicted segments of shared classes, in shared labels; pixels of others have none."""
        return _relabelled_segments(panoptic.to("cpu"), self.of_model)

    def true_panoptic(self, target: Target) -> Panoptic | None:
        """True segments of shared classes, in shared labels; None if the target has no map."""
        if target.panoptic is None:
            return None
        return _relabelled_segments(target.panoptic.to("cpu"), self.of_dataset)


def _relabelled_segments(panoptic: Panoptic, table: Tensor) -> Panoptic:
    labels = table[panoptic.labels]
    kept: Panoptic = replace(panoptic, labels=labels)[labels != _DROPPED]
    present = torch.isin(panoptic.segment_map, kept.ids)
    return replace(kept, segment_map=panoptic.segment_map.where(present, 0))


def _relabelled(rows: Row, table: Tensor) -> Row:
    labels = table.to(rows.labels.device)[rows.labels]
    kept: Row = replace(rows, labels=labels)[labels != _DROPPED]
    return kept


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
