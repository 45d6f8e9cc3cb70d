"""One file a model: weights as safetensors, and in its header everything to build the model anew.

The header is JSON under the key "seglib": format, model name, configuration, categories,
version, and notes (the command, figures, …). Reading it runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

import seglib
from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.models.config import ModelConfig
from seglib.pretrained.renamed import with_present_names
from seglib.structures import Categories, Category

FORMAT = 1
KEY = "seglib"
FIELDS = {"model": str, "config": dict, "categories": list, "version": str, "notes": dict}
SHAPES_SHOWN = 3


@dataclass(frozen=True)
class Header:
    """What a model file says of itself.

    Attributes:
        model: the model's file name in seglib/models/.
        config: `ModelConfig.to_dict()`.
        categories: what its labels mean.
        version: of the seglib that wrote it.
        notes: whatever else was noted: command, figures, minutes, …
    """

    model: str
    config: dict[str, Any]
    categories: Categories
    version: str = seglib.__version__
    notes: dict[str, Any] = field(default_factory=dict)


def save(
    model: Segmenter,
    path: Path | str,
    notes: Mapping[str, Any] | None = None,
    *,
    half: bool = False,
) -> Path:
    """Write a model to one .safetensors file, whole or not at all.

    Args:
        model: any Segmenter.
        path: the file; its folder is made when missing.
        notes: JSON values kept in the header.
        half: store matrices and kernels as float16, half the size; vectors (biases, norms and
            their statistics) stay as they are.

    Raises:
        SeglibError: weights that are not finite, or a folder that cannot be written.
    """
    path = Path(path)
    tensors = {}
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise SeglibError(f"{name} holds values that are not finite: {path} is not written")
        tensors[name] = _stored(value.detach().cpu(), half)
    header = {
        "format": FORMAT,
        "model": model.name,
        "config": model.config.to_dict(),
        "categories": model.categories.to_coco(),
        "version": seglib.__version__,
        "notes": dict(notes or {}),
    }
    content = to_bytes(tensors, metadata={KEY: json.dumps(header)})
    write_atomic(path, lambda stream: stream.write(content))
    return path


def _stored(value: Tensor, half: bool) -> Tensor:
    value = value.contiguous().clone()
    if half and value.is_floating_point() and value.ndim > 1:
        halved = value.to(torch.float16)
        return halved if bool(halved.isfinite().all()) else value
    return value


def read(path: Path | str) -> tuple[Header, dict[str, Tensor]]:
    """Read header and weights; floats come back as float32.

    Raises:
        SeglibError: no such file, a damaged one, or one that is no model of seglib.
    """
    path = Path(path)
    if not path.is_file():
        raise SeglibError(f"no model file at {path}")
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            names = stored.keys()
            tensors = {name: _full(stored.get_tensor(name)) for name in names}
    except (SafetensorError, OSError) as error:
        raise SeglibError(f"{path} is damaged or no safetensors file ({error})") from error
    if KEY not in metadata:
        raise SeglibError(f"{path} holds weights but not which model they belong to: not seglib's")
    try:
        header = json.loads(metadata[KEY])
        if header["format"] != FORMAT:
            raise SeglibError(
                f"{path} has format {header['format']}, and this seglib reads {FORMAT}"
            )
        for name, kind in FIELDS.items():
            if not isinstance(header[name], kind):
                raise TypeError(f"{name!r} is a {type(header[name]).__name__}")
        described = Header(
            model=header["model"],
            config=header["config"],
            categories=_categories(header["categories"]),
            version=header["version"],
            notes=header["notes"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SeglibError(f"{path} has a damaged header ({error})") from error
    return described, with_present_names(described.model, tensors)


def _categories(records: list[dict[str, Any]]) -> Categories:
    """COCO records in the order of the labels, which need not be the order of the ids."""
    return Categories(
        Category(
            label, record["id"], record["name"], bool(record["isthing"]), tuple(record["color"])
        )
        for label, record in enumerate(records, start=1)
    )


def _full(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value


def build(
    kind: type[Segmenter],
    config: Callable[[], ModelConfig],
    categories: Categories,
    source: Path | str,
) -> Segmenter:
    """A new model of the kind and shape that a file describes.

    Args:
        kind: of the model.
        config: makes its configuration out of what the file says.
        categories: what its labels mean.
        source: the file, for the message.

    Raises:
        SeglibError: settings that the model does not have, or with which it cannot be built.
    """
    try:
        return kind(config(), categories)
    except SeglibError as error:
        raise SeglibError(f"{source} describes no {kind.name} that seglib has: {error}") from error
    except Exception as error:  # the settings are another's: any of them may be of any kind
        raise SeglibError(
            f"{source} describes no {kind.name} that seglib has: with its settings none can be "
            f"built ({type(error).__name__}: {error})"
        ) from error


def fill(
    model: Segmenter,
    tensors: Mapping[str, Tensor],
    source: Path | str,
    origins: Mapping[str, str] | None = None,
) -> None:
    """Copy weights into a model.

    Args:
        model: filled in place.
        tensors: by the names of its state dict.
        source: the file they come from, for the message.
        origins: what the file calls them, where it has names of its own.

    Raises:
        SeglibError: names or shapes that do not fit, the first of them named.
    """
    wanted = model.state_dict()
    faults = [f"{name} is missing" for name in wanted if name not in tensors]
    called = {name: (origins or {}).get(name, name) for name in tensors}
    faults += [f"{called[name]} is not part of the model" for name in tensors if name not in wanted]
    faults += [
        f"{called[name]} is {list(value.shape)}, the model needs {list(wanted[name].shape)}"
        for name, value in tensors.items()
        if name in wanted and value.shape != wanted[name].shape
    ]
    if faults:
        shown = "; ".join(faults[:SHAPES_SHOWN])
        rest = len(faults) - SHAPES_SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise SeglibError(f"{source} does not fit {type(model).__name__}: {shown}{more}")
    model.load_state_dict(dict(tensors))
