"""One file per model: weights as safetensors, with everything needed to rebuild it in the header.

The header is JSON under the key "seglib": format, model name, configuration, categories,
version, and notes (the command, figures, …). Reading it runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor
from torch.nn.modules.module import register_module_parameter_registration_hook

import seglib
from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.json_files import parse_json
from seglib.models.base import Segmenter
from seglib.models.config import ModelConfig
from seglib.pretrained.renamed import with_present_names
from seglib.structures import Categories, Category, all_finite

FORMAT = 1
KEY = "seglib"
FIELDS = {"model": str, "config": dict, "categories": list, "version": str, "notes": dict}
FAULTS_SHOWN = 3


@dataclass(frozen=True)
class Header:
    """The description in a model file.

    Attributes:
        model: the model's name, a folder of seglib/models/.
        config: `ModelConfig.to_dict()`.
        categories: what its labels mean.
        version: version of seglib that wrote the file.
        notes: anything else worth keeping: command, figures, minutes, …
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
    """Write a model to one .safetensors file, atomically.

    Args:
        model: any Segmenter.
        path: the file; its folder is created if necessary.
        notes: JSON values to keep in the header.
        half: halve the file by storing matrices and kernels as float16; vectors (biases, norms
            and their statistics) stay float32.

    Raises:
        SeglibError: weights that are not finite, or a file that cannot be written.
    """
    path = Path(path)
    tensors = {}
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise SeglibError(f"{name} contains values that are not finite: {path} is not written")
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
    """Read header and weights; half-precision weights are returned as float32.

    Raises:
        SeglibError: the file is missing, damaged or not written by seglib.
    """
    path = Path(path)
    if not path.is_file():
        raise SeglibError(f"no model file at {path}")
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            names = stored.keys()
            tensors = {name: _float32(stored.get_tensor(name)) for name in names}
    except (SafetensorError, OSError) as error:
        raise SeglibError(f"{path} is damaged or not a safetensors file ({error})") from error
    if KEY not in metadata:
        raise SeglibError(
            f"{path} was not written by seglib: it does not say which model its weights belong to"
        )
    try:
        header = parse_json(metadata[KEY])
        if header["format"] != FORMAT:
            raise SeglibError(
                f"{path} has format {header['format']}, but this version of seglib reads {FORMAT}"
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


def is_foreign(path: Path) -> bool:
    """Whether this is a safetensors file that others wrote; False for anything unreadable."""
    try:
        with safe_open(path, framework="pt") as stored:
            return KEY not in (stored.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _categories(records: list[dict[str, Any]]) -> Categories:
    """Categories from COCO records in label order, which may differ from id order."""
    return Categories(
        Category(
            label, record["id"], record["name"], bool(record["isthing"]), tuple(record["color"])
        )
        for label, record in enumerate(records, start=1)
    )


def _float32(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value


def build(
    kind: type[Segmenter],
    config: Callable[[], ModelConfig],
    categories: Categories,
    tensors: Mapping[str, Tensor],
    source: Path | str,
    origins: Mapping[str, str] | None = None,
) -> Segmenter:
    """Build the model that a file describes and give it the file's weights.

    Names and shapes are first compared with those of a model without storage. Norm layers use
    their batch counters only in training, so a counter that the file lacks starts at zero.

    Args:
        kind: the model's class.
        config: makes its configuration from the file's description.
        categories: what its labels mean.
        tensors: weights by their names in the model's state dict.
        source: the file they come from, for error messages.
        origins: name in the model → name in the file, if these differ.

    Raises:
        SeglibError: the model has no such settings or cannot be built with them, names or shapes do
            not match (the message lists the first few), or a weight is not finite.
    """
    with torch.device("meta"), _parameters_limited_by(tensors):
        empty = _described(kind, config, categories, source).state_dict()
    tensors = _with_counters(tensors, empty)
    _check_weights(kind, empty, tensors, source, origins or {})
    model = _described(kind, config, categories, source)
    model.load_state_dict(dict(tensors))
    return model


def _described(
    kind: type[Segmenter],
    config: Callable[[], ModelConfig],
    categories: Categories,
    source: Path | str,
) -> Segmenter:
    try:
        return kind(config(), categories)
    except SeglibError as error:
        raise SeglibError(f"{source} does not describe a valid {kind.name}: {error}") from error
    except Exception as error:  # the file is not ours: a setting may have any type or value
        raise SeglibError(
            f"{source} does not describe a valid {kind.name}: it cannot be built with these "
            f"settings ({type(error).__name__}: {error})"
        ) from error


@contextmanager
def _parameters_limited_by(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Stop building a model with far more parameters than the file has weights.

    A single line of a description can ask for a million layers. Each layer counts as soon as it
    is made, before it belongs to a network.

    Raises:
        SeglibError: there are too many parameters.
    """
    built, limit = 0, 100 + 10 * len(tensors)

    def count(*_: object) -> None:
        nonlocal built
        built += 1
        if built > limit:
            raise SeglibError(f"it asks for far more layers than the file's {len(tensors)} weights")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _with_counters(tensors: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    counter = "num_batches_tracked"
    kept = {
        name: value
        for name, value in tensors.items()
        if not name.endswith(counter) or name in names
    }
    return {name: torch.tensor(0) for name in names if name.endswith(counter)} | kept


def _check_weights(
    kind: type[Segmenter],
    wanted: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    source: Path | str,
    origins: Mapping[str, str],
) -> None:
    faults = [f"{name} is missing" for name in wanted if name not in tensors]
    for name, value in tensors.items():
        shown = origins.get(name, name)
        if name not in wanted:
            faults.append(f"{shown} is not part of the model")
        elif value.shape != wanted[name].shape:
            needed = list(wanted[name].shape)
            faults.append(f"{shown} is {list(value.shape)}, the model needs {needed}")
        elif value.is_floating_point() and not all_finite(value):
            faults.append(f"{shown} has NaN or infinite values")
    if faults:
        rest = len(faults) - FAULTS_SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise SeglibError(
            f"{source} does not fit {kind.__name__}: {'; '.join(faults[:FAULTS_SHOWN])}{more}"
        )
