"""How a Cascade Mask R-CNN is built: the numbers of its stages, small and as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig, check_range
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.ops.boxes import DeltaWeights

Variant = Literal["official", "detectron2"]


@dataclass(frozen=True)
class CascadeRCNNConfig(MaskRCNNConfig):
    """How a Cascade Mask R-CNN is built; everything else is `MaskRCNNConfig`'s.

    The stages' numbers stand in for `foreground_iou` and `box_weights`, which are not read.

    Attributes:
        variant: which reference it follows, see the head of this file.
        stage_ious: overlap from which a box is foreground, stage by stage; as many stages as
            there are numbers.
        stage_box_weights: scale of each stage's deltas: later corrections are smaller.
        stage_loss_weights: of each stage's two losses, in the official variant.

    Raises:
        SeglibError: a value that its field cannot have, no stage, or not the same number of
            stages in all three.
    """

    variant: Variant = "detectron2"
    stage_ious: tuple[float, ...] = (0.5, 0.6, 0.7)
    stage_box_weights: tuple[DeltaWeights, ...] = (
        (10.0, 10.0, 5.0, 5.0),
        (20.0, 20.0, 10.0, 10.0),
        (30.0, 30.0, 15.0, 15.0),
    )
    stage_loss_weights: tuple[float, ...] = (1.0, 0.5, 0.25)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 0, 1, "stage_ious")
        names = ("stage_ious", "stage_box_weights", "stage_loss_weights")
        counts = {name: len(getattr(self, name)) for name in names}
        if 0 in counts.values() or len(set(counts.values())) > 1:
            raise SeglibError(f"a cascade has as many of each as it has stages, got {counts}")

    @classmethod
    def pocket(cls, variant: Variant = "detectron2") -> CascadeRCNNConfig:
        """Mask R-CNN's pocket network with three smaller box heads in a row."""
        return cls(**{**_fields(MaskRCNNConfig.pocket()), "variant": variant, "box_hidden": 96})

    @classmethod
    def paper(cls, variant: Variant = "detectron2") -> CascadeRCNNConfig:
        """ResNet-50 and FPN with three heads of 1024, by either reference."""
        return cls(**{**_fields(MaskRCNNConfig.detectron2()), "variant": variant})


def _fields(config: ModelConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}
