"""Files of the Hugging Face hub: DETR, MaskFormer and Mask2Former as `transformers` saves them.

A `model.safetensors` contains names and weights, but not the kind of network, which is recognised
by the names. The hub's DETR is under the Apache licence 2.0. Its MaskFormer and Mask2Former are
conversions of the authors' weights, whose licence forbids commercial use (see
maskformer_official.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from seglib.models.base import Segmenter
from seglib.pretrained.detr_official import detr_from_official
from seglib.pretrained.maskformer_official import maskformer_from_weights
from seglib.pretrained.official_weights import OfficialWeights
from seglib.pretrained.transformers_names import DETR, MASK2FORMER, MASKFORMER, renamed

QUERIES = "model.transformer_module.queries_"


def is_hub_detr(state: dict[str, Tensor]) -> bool:
    """Whether the weights are those of a `DetrForObjectDetection` or `DetrForSegmentation`."""
    return any(name.endswith("class_labels_classifier.weight") for name in state)


def is_hub_maskformer(state: dict[str, Tensor]) -> bool:
    """Whether the weights are those of a MaskFormer or Mask2Former of `transformers`."""
    return f"{QUERIES}embedder.weight" in state


def detr_from_hub(state: dict[str, Tensor], path: Path) -> Segmenter:
    """The network with these weights; `config.json` next to the file says whether it is dilated.

    Raises:
        SeglibError: another number of classes than the published models have, or weights that do
            not fit.
    """
    dilated = _config(path).get("dilation")
    return detr_from_official(renamed(state, DETR), path, dilated=dilated)


def maskformer_from_hub(state: dict[str, Tensor], path: Path) -> Segmenter:
    """The network with these weights, MaskFormer or Mask2Former.

    Raises:
        SeglibError: another number of classes than COCO's, or weights that do not fit.
    """
    rules = MASK2FORMER if f"{QUERIES}features.weight" in state else MASKFORMER
    return maskformer_from_weights(
        OfficialWeights.renamed(path, renamed(state, rules), lambda name: name)
    )


def _config(path: Path) -> dict[str, Any]:
    """The model's settings, which the hub stores next to its weights; empty if they are missing."""
    try:
        content = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
