"""The paradigms, one folder each; a model's name is its folder's name.

`build_model("fcn", categories)` builds one from a preset; `MODELS` maps names to classes and
imports a folder, and torch with it, only when its class is needed: the command line's help
lists the names and needs neither.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from seglib.errors import SeglibError, unknown_name

if TYPE_CHECKING:
    from seglib.models.base import Segmenter
    from seglib.models.config import ModelConfig
    from seglib.structures import Categories

__all__ = ["MODELS", "build_model", "model_names"]

_CLASS_NAMES = {
    "fcn": "FCN",
    "deepmask": "DeepMask",
    "mask_rcnn": "MaskRCNN",
    "cascade_rcnn": "CascadeRCNN",
    "yolact": "YOLACT",
    "solo": "SOLO",
    "polarmask": "PolarMask",
    "detr": "DETR",
    "maskformer": "MaskFormer",
}


class _LazyModels(Mapping[str, "type[Segmenter]"]):
    """Model classes by name, each folder imported at the first look-up."""

    def __getitem__(self, name: str) -> type[Segmenter]:
        if name not in _CLASS_NAMES:
            raise KeyError(name)
        model: type[Segmenter] = getattr(import_module(f"seglib.models.{name}"), _CLASS_NAMES[name])
        return model

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASS_NAMES)

    def __len__(self) -> int:
        return len(_CLASS_NAMES)


MODELS: Mapping[str, type[Segmenter]] = _LazyModels()


def model_names() -> list[str]:
    """The names that `build_model` knows, in the order of the lessons."""
    return list(MODELS)


def build_model(
    name: str,
    categories: Categories,
    preset: Literal["pocket", "paper"] = "pocket",
    **overrides: Any,
) -> Segmenter:
    """Build a model with fresh weights.

    Args:
        name: a paradigm, one of `model_names()`.
        categories: what its labels will mean.
        preset: "pocket" (learns Pocket COCO on two cores) or "paper" (as published).
        overrides: arguments of the preset (`variant="16s"`) or single fields of the config.

    Raises:
        SeglibError: an unknown name, preset or field, or a value that a field cannot have.
    """
    if name not in MODELS:
        raise unknown_name("model", name, model_names())
    if preset not in ("pocket", "paper"):
        raise SeglibError(f"no preset is called {preset!r}: choose pocket or paper")
    model = MODELS[name]
    make = getattr(model.config_class, preset)
    choices = {k: overrides.pop(k) for k in inspect.signature(make).parameters if k in overrides}
    config: ModelConfig = make(**choices)
    # from_dict refuses unknown fields by name.
    config = model.config_class.from_dict({**config.to_dict(), **overrides})
    return model(config, categories)
