"""The contract of a paradigm: what every model in this folder can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.models.config import ModelConfig
from seglib.structures import Categories, ImageBatch, Prediction, Target, check_images

Task = Literal["instances", "proposals", "semantic", "panoptic"]

# ImageNet statistics, RGB in 0…1: what torchvision's weights were trained with.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


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
