"""The classes of a dataset."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seglib.errors import SeglibError

BACKGROUND = 0
IGNORE = 255


@dataclass(frozen=True)
class Category:
    """One class of a dataset.

    Attributes:
        label: contiguous number, 1…C.
        coco_id: the id in COCO files.
        name: unique within the dataset.
        is_thing: countable object (True) or stuff such as sky (False).
        color: RGB, 0…255, for pictures.
    """

    label: int
    coco_id: int
    name: str
    is_thing: bool = True
    color: tuple[int, int, int] = (128, 128, 128)


class Categories(Sequence[Category]):
    """The classes of a dataset in label order; part of datasets, checkpoints and predictions.

    Index 0 is label 1: iterate over the categories, or look one up with `by_label`, `by_coco_id` or
    `by_name`.
    """

    def __init__(self, items: Iterable[Category]) -> None:
        """Raises SeglibError unless the labels run 1…C and ids and names are unique."""
        self._items = tuple(items)
        labels = [category.label for category in self._items]
        if labels != list(range(1, len(labels) + 1)):
            raise SeglibError(f"category labels must run 1…{len(labels)}, got {labels}")
        self._by_coco_id: dict[int, Category] = {}
        self._by_name: dict[str, Category] = {}
        for category in self._items:
            if category.coco_id in self._by_coco_id:
                names = f"{self._by_coco_id[category.coco_id].name!r} and {category.name!r}"
                raise SeglibError(
                    f"category ids must be unique: {names} both have the id {category.coco_id}"
                )
            if category.name in self._by_name:
                ids = f"{self._by_name[category.name].coco_id} and {category.coco_id}"
                raise SeglibError(
                    f"category names must be unique: {category.name!r} is the name of the ids {ids}"
                )
            self._by_coco_id[category.coco_id] = self._by_name[category.name] = category

    @classmethod
    def from_coco(cls, records: Iterable[dict[str, Any]]) -> Categories:
        """Read COCO `categories` records (`id`, `name`, `isthing`, `color`), sorted by id."""
        ordered = sorted(records, key=lambda record: int(record["id"]))
        return cls(
            Category(
                label=label,
                coco_id=int(record["id"]),
                name=str(record["name"]),
                is_thing=bool(record.get("isthing", 1)),
                color=tuple(record.get("color") or _spread_color(label)),
            )
            for label, record in enumerate(ordered, start=1)
        )

    def to_coco(self) -> list[dict[str, Any]]:
        """The COCO `categories` records; `from_coco` reads them back."""
        return [
            {"id": c.coco_id, "name": c.name, "isthing": int(c.is_thing), "color": list(c.color)}
            for c in self._items
        ]

    def by_label(self, label: int) -> Category:
        """The category with this label; raises SeglibError outside 1…C."""
        if not 1 <= label <= len(self._items):
            raise SeglibError(f"no category has label {label}: labels run 1…{len(self._items)}")
        return self._items[label - 1]

    def by_coco_id(self, coco_id: int) -> Category:
        """The category with this COCO id; raises SeglibError if there is none."""
        if coco_id not in self._by_coco_id:
            raise SeglibError(f"unknown category id {coco_id}: not in the file's 'categories'")
        return self._by_coco_id[coco_id]

    def by_name(self, name: str) -> Category:
        """The category with this name; raises SeglibError if there is none."""
        if name not in self._by_name:
            raise SeglibError(
                f"no category is called {name!r}: choose among {', '.join(self.names)}"
            )
        return self._by_name[name]

    @property
    def fit_label_maps(self) -> bool:
        """Whether a semantic map can contain all labels: at most 254, since 255 means ignored."""
        return len(self._items) < IGNORE

    @property
    def names(self) -> tuple[str, ...]:
        """Names in label order; names[0] is that of label 1."""
        return tuple(category.name for category in self._items)

    @property
    def things(self) -> tuple[Category, ...]:
        """The countable categories."""
        return tuple(category for category in self._items if category.is_thing)

    @property
    def stuff(self) -> tuple[Category, ...]:
        """The uncountable categories."""
        return tuple(category for category in self._items if not category.is_thing)

    def shared_with(self, other: Categories) -> dict[int, int]:
        """Label here → label in `other`, for all names that both have."""
        return {
            category.label: other.by_name(category.name).label
            for category in self._items
            if category.name in other._by_name
        }

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Category]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Categories) and self._items == other._items

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        counts = f"{len(self.things)} things, {len(self.stuff)} stuff"
        return f"Categories({counts}: {', '.join(self.names)})"


def _spread_color(label: int) -> tuple[int, int, int]:
    """Neighbouring labels get distant hues: steps of the golden ratio around the circle."""
    hue = (label * 0.61803398875) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(
        hue, 0.65 + 0.25 * (label % 2), 0.95 - 0.2 * (label % 3 == 0)
    )
    return round(red * 255), round(green * 255), round(blue * 255)
