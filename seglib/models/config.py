"""The base of every model's config: presets, plain values for files, checks of its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from math import inf
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from seglib.errors import SeglibError
from seglib.ops.images import PIXEL_MEAN, PIXEL_STD

Augmentation = Literal["flip", "flip_crop_color"]
SMALLEST_STD = 1e-3  # about a quarter of one 8-bit grey level


@dataclass(frozen=True)
class ModelConfig:
    """How a model is built; each paradigm's own config extends it.

    Attributes:
        image_size: longer side in pixels to which images are resized; None keeps their sizes.
        square_canvas: pad every batch to a square. Images of one longer side are then padded in
            the same way in training, beside images of other shapes, and in prediction, alone: a
            network learns what padding looks like to it.
        backbone_lr_scale: the backbone's learning rate, divided by that of the other layers.
        augmentation: how training varies the images, if asked to: "flip" mirrors half of them;
            "flip_crop_color" also scales, crops and recolours.
        pixel_mean: RGB in 0…1, subtracted from every pixel of the input.
        pixel_std: RGB, by which the difference is divided; published weights need their own.

    Raises:
        SeglibError: a value does not have the field's type, or is out of range.
    """

    image_size: int | None = None
    square_canvas: bool = False
    backbone_lr_scale: float = 1.0
    augmentation: Augmentation = "flip_crop_color"
    pixel_mean: tuple[float, float, float] = PIXEL_MEAN
    pixel_std: tuple[float, float, float] = PIXEL_STD

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, 1, inf, "image_size")
        check_range(self, 0, inf, "backbone_lr_scale", "pixel_mean")
        check_range(self, SMALLEST_STD, inf, "pixel_std")

    @classmethod
    def pocket(cls) -> Self:
        """The small network that learns Pocket COCO on two CPU cores."""
        raise NotImplementedError

    @classmethod
    def paper(cls) -> Self:
        """The published network."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint's header; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from `to_dict`'s values: lists become tuples again, dicts nested rules.

        Raises:
            SeglibError: a field that this config does not have, or a value that its field cannot
                have.
        """
        rules: dict[str, Any] = {
            f.name: type(f.default) for f in fields(cls) if is_dataclass(f.default)
        }
        _check_fields(cls, values)
        built = {k: _tuples(v) for k, v in values.items()}
        for name in rules.keys() & {k for k, v in built.items() if isinstance(v, dict)}:
            _check_fields(rules[name], built[name])
            built[name] = rules[name](**built[name])
        return cls(**built)


def _check_fields(config: type[Any], values: Mapping[str, Any]) -> None:
    known = [f.name for f in fields(config)]
    if unknown := sorted(set(values) - set(known)):
        raise SeglibError(
            f"{config.__name__} has no field {', '.join(unknown)}: choose among {', '.join(known)}"
        )


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def check_types(config: Any) -> None:
    """Check that every field of a dataclass, and of those nested in it, has the annotated type.

    Raises:
        SeglibError: a value of another type, or outside a `Literal`'s choices.
    """
    name, hints = type(config).__name__, get_type_hints(type(config))
    for field in fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        if not _fits(value, hint):
            if get_origin(hint) is Literal:
                *others, last = map(str, get_args(hint))
                choices = f"{', '.join(others)} or {last}"
                raise SeglibError(f"{name} has no {field.name} {value!r}: choose {choices}")
            raise SeglibError(f"{name} has {field.name}={value!r}: it must be {field.type}")
        if is_dataclass(value):
            check_types(value)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type, as far as configs use types."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin in (Union, UnionType):
        return any(_fits(value, choice) for choice in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        item_types = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
        return len(item_types) == len(value) and all(map(_fits, value, item_types))
    return isinstance(value, (int, float) if hint is float else hint)


def check_range(config: Any, low: float, high: float, *names: str) -> None:
    """Check that numbers, also in nested tuples, lie in low…high; None is allowed.

    Raises:
        SeglibError: a number lies outside the range, or is NaN.
    """
    for name in names:
        value = getattr(config, name)
        for number in _numbers(value):
            if not low <= number <= high:
                allowed = f"{low} or more" if high == inf else f"in {low}…{high}"
                raise SeglibError(
                    f"{type(config).__name__} has {name}={value}: it must be {allowed}"
                )


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for one in value:
            yield from _numbers(one)
    elif value is not None:
        yield value
