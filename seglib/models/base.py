"""The contract of a paradigm: what every model in this folder can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from seglib.structures import Categories, Prediction, Target

Task = Literal["instances", "proposals", "semantic", "panoptic"]

# ImageNet statistics, RGB in 0…1: what torchvision's weights were trained with.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelConfig:
    """What a paradigm can be built with; each model's own config extends it.

    Attributes:
        image_size: longer side in pixels that images are resized to; None keeps every size.
    """

    image_size: int | None = None

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
        """Build from `to_dict`'s values (JSON turns tuples into lists; they turn back)."""
        return cls(**{k: _tuples(v) for k, v in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


class Segmenter(nn.Module, ABC):
    """A model of one paradigm, whole: from images to a prediction, and to a loss.

    Every model takes a list of float [3, H, W] images of any size in 0…1; it normalises,
    resizes and pads by itself, and predicts at each image's original size.

    Attributes:
        name: the file's name in seglib/models/.
        tasks: the fields of `Prediction` that `predict` fills.
        config: what it was built with.
        categories: what its labels mean.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[Task, ...]]
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
