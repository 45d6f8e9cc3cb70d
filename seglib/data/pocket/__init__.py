"""Pocket COCO: the embedded dataset, drawn by procedure, in COCO's own format.

`draw_scene(seed, index)` draws one scene; `write_split` a COCO folder of them;
`ensure_pocket("train")` gives the folder that the course trains on.
"""

from seglib.data.pocket.cache import SPLITS, ensure_pocket, folder_hash, published_hash
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
    "published_hash",
    "write_split",
]
