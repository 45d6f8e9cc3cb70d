"""Data sets, batches and the files behind them; `load_dataset()` is where to start."""

from seglib.data.assets import asset, cache_dir, checkout_root
from seglib.data.choosing import find_image, touching_pairs
from seglib.data.coco import CocoFolder
from seglib.data.datasets import load_dataset
from seglib.data.loading import Batch, SeededSampler, batches, collate
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
    "find_image",
    "load_dataset",
    "touching_pairs",
]
