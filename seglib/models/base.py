"""The contract of a paradigm: the methods that every model has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig
from seglib.ops.images import PIXEL_MEAN, PIXEL_STD, normalise_pixels, resize_longer
from seglib.structures import (
    BACKGROUND,
    IGNORE,
    Categories,
    ImageBatch,
    Prediction,
    Target,
    check_images,
)

__all__ = ["PIXEL_MEAN", "PIXEL_STD", "OutputForm", "ParameterGroup", "Segmenter", "Task"]

Task = Literal["instances", "proposals", "semantic", "panoptic"]


@dataclass(frozen=True)
class OutputForm:
    """What limits even a perfect network of this form, in words and numbers.

    Attributes:
        ceiling: what `Segmenter.perfect` stands for: "a perfect network with logits of stride 8".
        numbers: the numbers in `ceiling`, by name, for records: {"stride": 8}.
        baseline: what `Segmenter.baseline` predicts, in words; empty if there is none.
    """

    ceiling: str
    numbers: dict[str, int] = field(default_factory=dict)
    baseline: str = ""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that an optimiser treats alike.

    Attributes:
        parameters: one or more parameters.
        lr_scale: factor on the run's learning rate.
        decays: whether weight decay applies.
    """

    parameters: list[nn.Parameter]
    lr_scale: float
    decays: bool


class Segmenter(nn.Module, ABC):
    """A complete model of one paradigm: from images to predictions, and to a loss.

    Every model takes a list of float [3, H, W] images of any size in 0…1, which it resizes,
    normalises and pads itself; it predicts at each image's original size.

    Attributes:
        name: the name of the model's folder in seglib/models/.
        tasks: the fields of `Prediction` that `predict` fills.
        config_class: the class of the model's config, which has the presets.
        config: how the model was built.
        categories: what the labels mean.
    """

    name: ClassVar[str]
    tasks: tuple[Task, ...]
    config_class: ClassVar[type[ModelConfig]]
    config: ModelConfig
    categories: Categories

    def __init__(self, config: ModelConfig, categories: Categories) -> None:
        """Store config and categories.

        Raises:
            SeglibError: more categories than a label map can tell apart, for a semantic task.
        """
        super().__init__()
        if {"semantic", "panoptic"} & set(self.tasks) and not categories.fit_label_maps:
            raise SeglibError(
                f"{self.name} learns from label maps, which tell at most {IGNORE - 1} categories "
                f"apart: it cannot learn {len(categories)}; choose a detector, or fewer categories"
            )
        self.config = config
        self.categories = categories

    @abstractmethod
    def forward(self, images: Sequence[Tensor]) -> Any:
        """The paradigm's raw outputs as a typed structure."""

    @abstractmethod
    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Named scalar losses, of which training minimises the sum."""

    def predict(self, images: Sequence[Tensor]) -> list[Prediction]:
        """One `Prediction` per image, at its original size; evaluation mode, no gradients.

        Only images of equal size share a batch, so that each is predicted as it would be alone: a
        network does not treat the padding beside a larger image as the border of the image.
        """
        check_images(images)
        by_size: dict[torch.Size, list[int]] = {}
        for index, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(index)
        predictions: dict[int, Prediction] = {}
        with self.evaluating():
            for indices in by_size.values():
                found = self.predict_batch([images[index] for index in indices])
                predictions |= zip(indices, found, strict=True)
        return [predictions[index] for index in range(len(images))]

    @abstractmethod
    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """Predict images of one size; `predict` has set the mode and switched gradients off."""

    def can_learn_from(self, target: Target) -> bool:
        """Whether a target has anything that `loss` learns from besides background."""
        if {"semantic", "panoptic"} & set(self.tasks) and target.semantic is not None:
            labels = target.semantic
            if ((labels != BACKGROUND) & (labels != IGNORE)).any():
                return True
        return self.tasks != ("semantic",) and bool(self.learnable_objects(target).any())

    def learnable_objects(self, target: Target) -> Tensor:
        """bool [N]: the objects that `loss` learns from, which are single and have a box with area.

        Paradigms that leave out further objects override this.
        """
        sides = target.boxes[:, 2:] - target.boxes[:, :2]
        return ~target.iscrowd & (sides > 0).all(dim=1)

    @property
    @abstractmethod
    def output_form(self) -> OutputForm:
        """What limits even the prediction of `perfect`."""

    @abstractmethod
    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The best `Prediction` that this output form can express.

        It keeps the model's grid, cells, windows and image size, and puts the truth in place of
        what the weights have learned. Its score is the ceiling printed beside the model's own.

        Args:
            image: float [3, H, W] in 0…1, as for `predict`.
            target: the image's true objects and label map.
        """

    def baseline(self, image: Tensor, generator: Generator) -> Prediction:
        """A prediction made without the image, if `output_form.baseline` describes one.

        Args:
            image: float [3, H, W] in 0…1; only its size is used.
            generator: random numbers, on the CPU.
        """
        raise NotImplementedError

    def parameter_groups(self, backbone_lr_scale: float | None = None) -> list[ParameterGroup]:
        """Trainable parameters in groups; a scaled backbone has groups of its own.

        Weights with two or more dimensions decay; biases and normalisation do not. A paradigm
        whose paper has another rule overrides this.

        Args:
            backbone_lr_scale: replaces the value in the model's config.
        """
        scale = self.config.backbone_lr_scale if backbone_lr_scale is None else backbone_lr_scale
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                share = scale if "backbone" in name.split(".") else 1.0
                groups.setdefault((share, parameter.ndim > 1), []).append(parameter)
        # The largest rate comes first, and within a rate the weights that decay.
        return [ParameterGroup(groups[key], *key) for key in sorted(groups, reverse=True)]

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The tensors with one slice per class: state-dict names, and the dimensions of the slices.

        Re-heading by category name moves these slices. Slice 0 is background and slice l is label
        l; in a layer without background, slice 0 is label 1.
        """
        return {}

    def prepare(self, images: Sequence[Tensor], divisor: int = 1) -> ImageBatch:
        """Resize (see `resize`), normalise and pad images into one batch.

        Padding comes after normalisation, so it has the mean colour: zero, as inside a
        convolution. `config.square_canvas` says how far it goes. The batch is on the model's device
        and of its floating point type.

        Args:
            images: float [3, H, W] in 0…1, any sizes.
            divisor: the batch's height and width are multiples of it.

        Raises:
            SeglibError: an image of another shape or type.
        """
        check_images(images)
        like = next(self.parameters())
        resized = [self.resize(image.to(like)) for image in images]
        mean, std = self.config.pixel_mean, self.config.pixel_std
        normal = [normalise_pixels(image, mean, std) for image in resized]
        return ImageBatch.from_images(normal, divisor, square=self.config.square_canvas)

    def resize(self, image: Tensor) -> Tensor:
        """Resize a float [C, H, W] image to the size that the network sees.

        The longer side becomes `config.image_size`. A paradigm whose paper has another rule
        overrides this.
        """
        return resize_longer(image, self.config.image_size)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode without gradients; afterwards, the mode of every module is restored."""
        training = [module for module in self.modules() if module.training]
        if training:  # if not, save the walk through all modules, which costs as much as a layer
            self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for module in training:
                module.training = True
