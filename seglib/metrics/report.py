"""The figures of one evaluation, as numbers, as a table and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Metrics:
    """The result of `evaluate`; nan where there was nothing to score.

    Attributes:
        figures: over the data set, in 0…1, the most important first: "mean_iou",
            "pixel_accuracy", "mean_accuracy", "freq_weighted_iou" (semantic); "mask_AP",
            "mask_AP50" … and "box_AP" … (instances); "mask_AR@10" … and "box_AR@10" …
            (proposals); panoptic quality (panoptic).
        per_class: figure → class name → value, such as "iou", "accuracy", "mask_AP" or "box_AP".
        notes: what a reader of the figures must know, such as the classes compared.
        dataset: the data set's name.
        images: number of images evaluated.
        model: the model's name.
    """

    figures: dict[str, float]
    per_class: dict[str, dict[str, float]]
    notes: list[str] = field(default_factory=list)
    dataset: str = ""
    images: int = 0
    model: str = ""

    def table(self, per_class: bool = True) -> Table:
        """A rich table to print: the figures, then a row for every class."""
        # Names may contain characters that rich would interpret as markup.
        title = escape(f"{self.model} on {self.dataset}, {self.images} images")
        caption = escape("\n".join(self.notes)) or None
        table = Table(title=title, caption=caption, caption_justify="left")
        columns = list(self.per_class) if per_class else []
        table.add_column("figure")
        table.add_column("value", justify="right")
        for name in columns:
            table.add_column(name, justify="right")
        for name, value in self.figures.items():
            table.add_row(name, _shown(value), *[""] * len(columns))
        if columns:
            table.add_section()
        for name in dict.fromkeys(name for column in columns for name in self.per_class[column]):
            cells = [_shown(self.per_class[column].get(name, math.nan)) for column in columns]
            table.add_row(escape(name), "", *cells)
        return table

    def to_dict(self) -> dict[str, Any]:
        """JSON values; None where undefined."""
        return {
            "model": self.model,
            "dataset": self.dataset,
            "images": self.images,
            "figures": _plain(self.figures),
            "per_class": {name: _plain(values) for name, values in self.per_class.items()},
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """`to_dict` as strict JSON text, indented."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}
