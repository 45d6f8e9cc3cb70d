"""Pocket COCO: the course's own data set of procedurally drawn scenes, in COCO's format.

`draw_scene(seed, index)` draws one scene, `write_split` writes a COCO folder of scenes, and
`ensure_pocket("train")` returns the folder that the course trains on.
"""

from seglib.data.pocket.cache import (
    SPLITS,
    ensure_pocket,
    folder_hash,
    is_scene,
    published_hash,
)
from seglib.data.pocket.classes import AREA_RANGES, SIZE, VERSION, categories
from seglib.data.pocket.scene import Scene, SceneObject, draw_scene
from seglib.data.pocket.write import write_split

__all__ = [
    "AREA_RANGES",
    "SIZE",
    "SPLITS",
    "VERSION",
    "Scene",
    "SceneObject",
    "categories",
    "draw_scene",
    "ensure_pocket",
    "folder_hash",
    "is_scene",
    "published_hash",
    "write_split",
]
