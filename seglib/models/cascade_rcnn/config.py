"""How a Cascade Mask R-CNN is built: the numbers of its stages, for small images and published."""

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

    The stages' numbers replace `foreground_iou` and `box_weights`, which are not read.

    Attributes:
        variant: the reference implementation that the model follows, see model.py.
        stage_ious: per stage, the smallest IoU with an object at which a box is foreground.
        stage_box_weights: per stage, factors on its deltas, since later corrections are smaller.
        stage_loss_weights: per stage, weight of its two losses in the official variant.

    Raises:
        SeglibError: a value is out of range, or the three do not have one value for each stage.
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
            raise SeglibError(f"a cascade needs one value of each per stage, got {counts}")

    @classmethod
    def pocket(cls, variant: Variant = "detectron2") -> CascadeRCNNConfig:
        """Mask R-CNN's pocket network with three smaller box heads, one after another."""
        return cls(**{**_fields(MaskRCNNConfig.pocket()), "variant": variant, "box_hidden": 96})

    @classmethod
    def paper(cls, variant: Variant = "detectron2") -> CascadeRCNNConfig:
        """ResNet-50 and FPN with three heads of width 1024, as in either reference."""
        return cls(**{**_fields(MaskRCNNConfig.detectron2()), "variant": variant})


def _fields(config: ModelConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}
