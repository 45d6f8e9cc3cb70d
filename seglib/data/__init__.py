"""Data sets, batches and the files behind them; start with `load_dataset()`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglib.data.assets import asset, cache_dir, checkout_root
    from seglib.data.choosing import easy_to_follow, find_image, touching_pairs
    from seglib.data.coco import CocoFolder
    from seglib.data.datasets import load_dataset
    from seglib.data.loading import Batch, SeededSampler, batches, collate
    from seglib.data.ultralytics_read import from_ultralytics
    from seglib.data.ultralytics_write import to_ultralytics
    from seglib.structures import COCO_AREA_RANGES

__all__ = [
    "COCO_AREA_RANGES",
    "Batch",
    "CocoFolder",
    "SeededSampler",
    "asset",
    "batches",
    "cache_dir",
    "checkout_root",
    "collate",
    "easy_to_follow",
    "find_image",
    "from_ultralytics",
    "load_dataset",
    "to_ultralytics",
    "touching_pairs",
]

_HOMES = {
    "seglib.data.assets": ("asset", "cache_dir", "checkout_root"),
    "seglib.data.choosing": ("easy_to_follow", "find_image", "touching_pairs"),
    "seglib.data.coco": ("CocoFolder",),
    "seglib.data.datasets": ("load_dataset",),
    "seglib.data.loading": ("Batch", "SeededSampler", "batches", "collate"),
    "seglib.data.ultralytics_read": ("from_ultralytics",),
    "seglib.data.ultralytics_write": ("to_ultralytics",),
    "seglib.structures": ("COCO_AREA_RANGES",),
}


def __getattr__(name: str) -> Any:
    """Import on first use, since drawing Pocket COCO needs neither these modules nor torch."""
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(home), name)
            return value
    raise AttributeError(f"module 'seglib.data' has no attribute {name!r}")
