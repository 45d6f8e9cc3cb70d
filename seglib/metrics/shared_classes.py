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
        model_to_shared, dataset_to_shared: int64, label → shared label, or 0 if not shared; both
            have entries for background (0) and for ignored pixels (255).
    """

    def __init__(self, model: Categories, dataset: Categories) -> None:
        """Raises SeglibError if model and data set have no class name in common."""
        self._model, self._dataset = model, dataset
        names = [name for name in dataset.names if name in model.names]
        if not names:
            raise SeglibError(
                "model and data set have no class in common: the model knows "
                f"{_listed(model.names)}, the data set has {_listed(dataset.names)}"
            )
        self.categories = Categories(
            replace(dataset.by_name(name), label=label) for label, name in enumerate(names, start=1)
        )
        self.model_to_shared, self.dataset_to_shared = (
            self._lookup(categories) for categories in (model, dataset)
        )

    def _lookup(self, categories: Categories) -> Tensor:
        table = torch.full((max(len(categories), IGNORE) + 1,), _DROPPED)
        for label, shared_label in categories.shared_with(self.categories).items():
            table[label] = shared_label
        return table

    def notes(self) -> list[str]:
        """One line that names the shared classes; none if all are shared."""
        shared, known, asked = len(self.categories), len(self._model), len(self._dataset)
        if shared == known == asked:
            return []
        return [
            f"scored on the {shared} {'class' if shared == 1 else 'classes'} that the model "
            f"({known}) and the data set ({asked}) share by name: "
            f"{', '.join(self.categories.names)}"
        ]

    def predicted_map(self, labels: Tensor) -> Tensor:
        """A predicted label map in shared labels; other classes become background."""
        return self.model_to_shared[labels.cpu()]

    def true_map(self, labels: Tensor) -> Tensor:
        """A true label map in shared labels; other classes become 255, background stays."""
        labels = labels.cpu()
        shared = self.dataset_to_shared[labels]
        return torch.where((shared == _DROPPED) & (labels != BACKGROUND), IGNORE, shared)

    def predicted_rows(self, instances: Instances) -> Instances:
        """Detections of shared classes only, in shared labels."""
        return _relabelled(instances, self.model_to_shared)

    def true_rows(self, target: Target) -> Target:
        """True objects that an evaluation compares with, of shared classes, in shared labels."""
        return _relabelled(target.to_find, self.dataset_to_shared)

    def predicted_panoptic(self, panoptic: Panoptic) -> Panoptic:
        """Predicted segments of shared classes, in shared labels; pixels of others have none."""
        return _relabelled_segments(panoptic.to("cpu"), self.model_to_shared)

    def true_panoptic(self, target: Target) -> Panoptic | None:
        """True segments of shared classes, in shared labels; None if the target has no map."""
        if target.panoptic is None:
            return None
        return _relabelled_segments(target.panoptic.to("cpu"), self.dataset_to_shared)


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
