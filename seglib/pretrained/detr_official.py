"""DETR from files of the official repository, facebookresearch/detr (Apache licence 2.0).

The names are ours, except in the backbone; files of the panoptic models put "detr." before the
names of the detector. Classes are COCO's ids, with gaps, and "no object" comes last; in our models,
it comes first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from seglib.data.coco_categories import coco_categories, coco_panoptic_categories
from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.models.detr import DETR, DETRConfig
from seglib.pretrained.official_weights import OfficialWeights, filled, resnet_layout

CLASS_EMBED = ("class_embed.weight", "class_embed.bias")
# Rows of the class layer: COCO's ids 0…90, or 0…249 with stuff, and "no object".
THING_ROWS, PANOPTIC_ROWS = 92, 251


def is_detr(state: dict[str, Tensor]) -> bool:
    """Whether the weights are those of a DETR, in the names of its authors."""
    return any(re.match(r"(detr\.)?backbone\.0\.body\.", name) for name in state)


def our_name(name: str) -> str:
    """Our name of a weight of the official file."""
    return re.sub(r"^backbone\.0\.body\.", "backbone.", name.removeprefix("detr."))


def detr_from_official(
    state: dict[str, Tensor], path: Path, dilated: bool | None = None
) -> Segmenter:
    """The network with these weights, for COCO's 80 things, or for these and 53 kinds of stuff.

    Sizes are derived from the shapes. Dilation changes none of them; it is derived from the name of
    the file or folder, which contains "dc5" for the authors' dilated models.

    Args:
        state: weights by the authors' names, or by ours; "no object" is the last class.
        path: their file.
        dilated: whether the last stage is dilated; None if that is not known.

    Raises:
        SeglibError: the number of classes is not that of the published models, or the weights do
            not fit.
    """
    weights = OfficialWeights.renamed(path, state, our_name)
    rows, _ = weights.shape("class_embed.weight", 2)
    if rows not in (THING_ROWS, PANOPTIC_ROWS):
        raise SeglibError(
            f"{path} has {rows} rows of classes, not the {THING_ROWS} or {PANOPTIC_ROWS} of the "
            "published models: load it by hand with the categories it was trained on"
        )
    has_masks = "mask_head.lay1.weight" in weights.values
    panoptic = has_masks and rows == PANOPTIC_ROWS
    categories = coco_panoptic_categories() if panoptic else coco_categories()
    kept = [rows - 1, *(category.coco_id for category in categories)]
    for name in CLASS_EMBED:
        if len(weights.values.get(name, ())) != rows:
            raise SeglibError(f"{path}: {name} does not have {rows} rows")
        weights.values[name] = weights.values[name][kept]
    config = DETRConfig.paper("panoptic" if panoptic else "masks" if has_masks else "boxes")
    if dilated is None:
        dilated = "dc5" in f"{path.parent.name}/{path.name}".lower()
    layout = {**_layout(weights), "dilated": dilated}
    return filled(DETR, config, layout, categories, weights)


def _layout(weights: OfficialWeights) -> dict[str, Any]:
    """The config fields of a DETR, derived from the shapes."""
    queries, channels = weights.shape("query_embed.weight", 2)
    return {
        **resnet_layout(weights),
        "channels": channels,
        "queries": queries,
        "hidden": weights.shape("transformer.decoder.layers.0.linear1.weight", 2)[0],
        "encoder_layers": weights.count(r"transformer\.encoder\.layers\.(\d+)\."),
        "decoder_layers": weights.count(r"transformer\.decoder\.layers\.(\d+)\."),
    }
