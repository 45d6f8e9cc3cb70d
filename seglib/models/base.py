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
        ceiling: "a perfect network with logits of stride 8", as `Segmenter.perfect` predicts.
        numbers: those in the words, by name, for records: {"stride": 8}.
        baseline: what `Segmenter.baseline` predicts, in words; empty if there is none.
    """

    ceiling: str
    numbers: dict[str, int] = field(default_factory=dict)
    baseline: str = ""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that an optimiser treats alike.

    Attributes:
        parameters: one or more.
        lr_scale: their learning rate over that of the run.
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
        name: its folder's name in seglib/models/.
        tasks: the fields of `Prediction` that `predict` fills.
        config_class: the class of its config, which has the presets.
        config: how it was built.
        categories: what its labels mean.
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

        Only images of equal size share a batch: to a network, padding that a larger image causes
        is not a border, so each image is predicted as it would be alone.
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
        """What `predict` returns for images of one size; it sets the mode and stops gradients."""

    def can_learn_from(self, target: Target) -> bool:
        """Whether a target has anything that `loss` learns from besides background."""
        if {"semantic", "panoptic"} & set(self.tasks) and target.semantic is not None:
            labels = target.semantic
            if ((labels != BACKGROUND) & (labels != IGNORE)).any():
                return True
        return self.tasks != ("semantic",) and bool(self.learnable_objects(target).any())

    def learnable_objects(self, target: Target) -> Tensor:
        """bool [N]: the objects that `loss` learns from: single ones, whose box has an area.

        A paradigm that leaves out others, too, overrides this.
        """
        sides = target.boxes[:, 2:] - target.boxes[:, :2]
        return ~target.iscrowd & (sides > 0).all(dim=1)

    @property
    @abstractmethod
    def output_form(self) -> OutputForm:
        """What limits even `perfect`."""

    @abstractmethod
    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The best `Prediction` that this output form can express.

        It has the model's grid, cells, windows and image size, and the truth in place of what its
        weights have learned. Its score is the ceiling printed beside the model's own.

        Args:
            image: float [3, H, W] in 0…1, as for `predict`.
            target: what is true of it.
        """

    def baseline(self, image: Tensor, generator: Generator) -> Prediction:
        """A prediction made without the image, if `output_form.baseline` describes one.

        Args:
            image: float [3, H, W] in 0…1, of which only the size counts.
            generator: on the CPU.
        """
        raise NotImplementedError

    def parameter_groups(self, backbone_lr_scale: float | None = None) -> list[ParameterGroup]:
        """Trainable parameters, the backbone's apart if its learning rate is scaled.

        Weights with two or more dimensions decay; biases and normalisation do not. A paradigm
        whose paper has another rule overrides this.

        Args:
            backbone_lr_scale: in place of the one in the model's config.
        """
        scale = self.config.backbone_lr_scale if backbone_lr_scale is None else backbone_lr_scale
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                share = scale if "backbone" in name.split(".") else 1.0
                groups.setdefault((share, parameter.ndim > 1), []).append(parameter)
        # The largest rate first, and in it the weights that decay.
        return [ParameterGroup(groups[key], *key) for key in sorted(groups, reverse=True)]

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """State-dict names of tensors with one slice per class, and along which dimensions.

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

        By `config.image_size`, unless a paradigm's paper has another rule and overrides this.
        """
        return resize_longer(image, self.config.image_size)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode without gradients; afterwards, the mode of every module is restored."""
        training = [module for module in self.modules() if module.training]
        if training:  # otherwise a walk through all modules costs as much as a layer of the network
            self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for module in training:
                module.training = True
