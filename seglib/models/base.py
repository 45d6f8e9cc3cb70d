"""The contract of a paradigm: what every model in this folder can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass
from math import inf
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.errors import SeglibError
from seglib.models.config_checks import check_range, check_types
from seglib.structures import IGNORE, Categories, ImageBatch, Prediction, Target, check_images

Task = Literal["instances", "proposals", "semantic", "panoptic"]

# ImageNet statistics, RGB in 0…1: what torchvision's weights were trained with.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelConfig:
    """What a paradigm can be built with; each model's own config extends it.

    Attributes:
        image_size: longer side in pixels that images are resized to; None keeps every size.

    Raises:
        SeglibError: a value of another type than its field, or outside what the field can be.
    """

    image_size: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, 1, inf, "image_size")

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
        """Build from `to_dict`'s values: lists turn back into tuples, dicts into nested rules.

        Raises:
            SeglibError: a field that this config does not have, or a value it cannot have.
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


class Segmenter(nn.Module, ABC):
    """A model of one paradigm, whole: from images to a prediction, and to a loss.

    Every model takes a list of float [3, H, W] images of any size in 0…1; it normalises,
    resizes and pads by itself, and predicts at each image's original size.

    Attributes:
        name: the file's name in seglib/models/.
        tasks: the fields of `Prediction` that `predict` fills.
        config_class: its config, which has the presets.
        config: what it was built with.
        categories: what its labels mean.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[Task, ...]]
    config_class: ClassVar[type[ModelConfig]]
    config: ModelConfig
    categories: Categories

    def __init__(self, config: ModelConfig, categories: Categories) -> None:
        super().__init__()
        self.config = config
        self.categories = categories

    @abstractmethod
    def forward(self, images: Sequence[Tensor]) -> Any:
        """The paradigm's raw outputs as a typed structure."""

    @abstractmethod
    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Named scalar losses; training minimises their sum."""

    @abstractmethod
    def predict(self, images: Sequence[Tensor]) -> list[Prediction]:
        """One `Prediction` an image, at its original size; evaluation mode, no gradients."""

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """State-dict names whose tensors hold one slice a class, and along which dimensions.

        What re-heading by category name moves; slice 0 is background, slice l is label l.
        """
        return {}

    def prepare(self, images: Sequence[Tensor], divisor: int = 1) -> ImageBatch:
        """Resize (see `resize`), normalise and pad images into one batch.

        Padding comes after normalisation, so it has the mean colour: zero, as inside a
        convolution. The batch is on the model's device and of its floating point type.

        Args:
            images: float [3, H, W] in 0…1, any sizes.
            divisor: the batch's height and width are multiples of it.

        Raises:
            SeglibError: an image of another shape or type.
        """
        check_images(images)
        like = next(self.parameters())
        mean = like.new_tensor(PIXEL_MEAN)[:, None, None]
        std = like.new_tensor(PIXEL_STD)[:, None, None]
        resized = [self.resize(image.to(like)) for image in images]
        return ImageBatch.from_images([(image - mean) / std for image in resized], divisor)

    def resize(self, image: Tensor) -> Tensor:
        """Bring a float [3, H, W] image to the size the network works at.

        Here by `config.image_size`; a paradigm whose paper has another rule overrides this.
        """
        return resize_longer(image, self.config.image_size)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode without gradients; afterwards every module's own mode is back."""
        modes = {module: module.training for module in self.modules()}
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for module, mode in modes.items():
                module.training = mode


def resize_longer(image: Tensor, longer: int | None) -> Tensor:
    """Resize a float [C, H, W] image so that its longer side is `longer`; None leaves it."""
    height, width = image.shape[-2:]
    if longer is None or max(height, width) == longer:
        return image
    scale = longer / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def resize_shorter(image: Tensor, shorter: int, longest: int) -> Tensor:
    """Resize a float [C, H, W] image so that its shorter side is `shorter`.

    If the longer side would exceed `longest`, it is resized to that instead. Rounded down and
    without antialiasing, as the published detectors were trained.
    """
    height, width = image.shape[-2:]
    scale = min(shorter / min(height, width), longest / max(height, width))
    size = (int(height * scale), int(width * scale))
    return F.interpolate(image[None], size=size, mode="bilinear")[0]


def semantic_labels(
    images: Sequence[Tensor],
    targets: Sequence[Target],
    sizes: Sequence[tuple[int, int]],
    canvas: tuple[int, int],
    classes: int,
) -> Tensor:
    """The targets' semantic maps on the canvas of a padded batch.

    Args:
        images: as given to the model, before resizing.
        targets: with `semantic` of each image's size.
        sizes: (height, width) of each image on the canvas; labels are resized to it, nearest.
        canvas: (H, W) of the batch.
        classes: C, the highest label allowed.

    Returns:
        int64 [B, H, W], 255 in the padding.

    Raises:
        SeglibError: a target without semantic labels, of another size than its image, or with
            a label above C.
    """
    batch = torch.full((len(targets), *canvas), IGNORE, dtype=torch.int64)
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        labels = target.semantic
        if labels is None:
            raise SeglibError(f"target {index} has no semantic labels to learn from")
        if labels.shape != image.shape[-2:]:
            raise SeglibError(
                f"target {index} has semantic labels of size {list(labels.shape)} for an image "
                f"of {list(image.shape[-2:])}: resize both together"
            )
        if bool(((labels > classes) & (labels != IGNORE)).any()):
            raise SeglibError(
                f"target {index} has label {int(labels[labels != IGNORE].max())}, the model knows "
                f"0…{classes}: build it with the dataset's categories"
            )
        height, width = sizes[index]
        if labels.shape != (height, width):
            labels = F.interpolate(
                labels[None, None].float(), size=(height, width), mode="nearest-exact"
            )[0, 0].long()
        batch[index, :height, :width] = labels
    return batch
