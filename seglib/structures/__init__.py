"""Structures that all of seglib shares: categories, targets, predictions, padded batches.

Conventions, pinned by tests/test_conventions.py:
    boxes   float32 [N, 4], corners (x0, y0, x1, y1) in pixels, half-open: x1 - x0 is the width
    masks   bool [N, H, W]
    images  float32 [3, H, W] in 0…1, RGB
    labels  int64, 1…C; 0 is background; COCO ids appear only where files are read or written
    semantic int64 [H, W], 0 background, 1…C, 255 ignored
"""

from seglib.structures.categories import BACKGROUND, IGNORE, Categories, Category
from seglib.structures.image_batch import ImageBatch, Size, all_finite, check_images
from seglib.structures.predictions import Instances, Prediction
from seglib.structures.targets import COCO_AREA_RANGES, AreaRanges, Panoptic, Target

__all__ = [
    "BACKGROUND",
    "COCO_AREA_RANGES",
    "IGNORE",
    "AreaRanges",
    "Categories",
    "Category",
    "ImageBatch",
    "Instances",
    "Panoptic",
    "Prediction",
    "Size",
    "Target",
    "all_finite",
    "check_images",
]
