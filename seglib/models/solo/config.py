"""How a SOLO is built: the numbers of model.py, for small images and as published."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig, check_range
from seglib.nn.norm import Norm
from seglib.nn.resnet import Stem
from seglib.ops.matrix_nms import Decay

Variant = Literal["solo", "decoupled", "decoupled_light", "v2"]


@dataclass(frozen=True)
class SOLORules:
    """Where the official code deviates from exact geometry; its released weights need all of it.

    Attributes:
        padded: grid and coordinates span the padded batch instead of each image, so that an
            image's targets and predictions depend on the images it is batched with (solo_head.py,
            `upsampled_size`, and `forward_single`).
        rounded_division: a cell is int((c / size) // (1 / S)) instead of floor(c · S / size): most
            centres exactly on the border of two cells fall into the lower one, since 1 / S is
            rounded (`solo_target_single`).
        pixel_indices: the centre of mass is the mean index of the pixels, half a pixel above and
            left of the mean of their centres (SciPy's `center_of_mass`).
        short_boxes: sides of boxes are one pixel too short, since the right border is taken to be
            x + w − 1 (the data set of mmdetection 1.0); PolarMask adds the pixel back, SOLO does
            not.
        binary_targets: the targets of a mask map's cells are rounded to 0 or 1 (masks are resized
            as byte images) instead of being the fraction of the cell that the object covers.
            Fractions tell where between two cells the outline runs: with masks of stride 2, a
            perfect network has a mask AP of 0.92 on 60 images of Pocket COCO, and 0.78 with rounded
            targets.
    """

    padded: bool = False
    rounded_division: bool = False
    pixel_indices: bool = False
    short_boxes: bool = False
    binary_targets: bool = False


GEOMETRIC = SOLORules()
OFFICIAL = SOLORules(
    padded=True,
    rounded_division=True,
    pixel_indices=True,
    short_boxes=True,
    binary_targets=True,
)


@dataclass(frozen=True)
class Selection:
    """How detections are selected from all cells; the defaults are the official code's.

    Attributes:
        score_threshold: cells with a class score above this are candidates.
        mask_threshold: pixels with a probability above this belong to a mask.
        before_nms: largest number of candidates that enter Matrix NMS.
        decay: Matrix NMS's function of the IoU.
        sigma: parameter of the Gaussian decay.
        final_threshold: lowest score after Matrix NMS.
        max_detections: largest number of detections per image.
        keep_empty: keep detections whose mask has no pixel at the size of the image, as the
            official code does.
    """

    score_threshold: float = 0.1
    mask_threshold: float = 0.5
    before_nms: int = 500
    decay: Decay = "gaussian"
    sigma: float = 2.0
    final_threshold: float = 0.05
    max_detections: int = 100
    keep_empty: bool = False


PLAIN_SELECTION = Selection()
OFFICIAL_SELECTION = Selection(keep_empty=True)


@dataclass(frozen=True)
class SOLOConfig(ModelConfig):
    """How a SOLO is built.

    Attributes:
        variant: "solo" (a mask channel per cell), "decoupled" (one per row and one per column),
            "decoupled_light" (both from one tower) or "v2" (a kernel per cell).
        rules: which of the official code's deviations from the geometry the model follows.
        min_size: images are resized to this shorter side in pixels; None uses `image_size`.
        max_size: limit of the longer side in pixels, if min_size is given.
        blocks: residual blocks per stage.
        bottleneck: use bottleneck blocks instead of basic ones.
        width: channels of the backbone's first stage.
        stem: the backbone's first layers.
        norm: the backbone's normalisation.
        frozen_stages: parts of the backbone that do not train: 1 the stem, 2 also the first stage.
        fpn_width: F, channels of each level of the pyramid.
        grids: S of each level of the pyramid, finest first.
        scale_ranges: for each level, the range of √area in pixels of its objects' boxes, both
            limits included.
        centre_region: sides of the region of positive cells, divided by those of the box.
        tower_width: channels of the heads' stacked convolutions.
        tower_layers: number of these convolutions.
        kernel_channels: E, channels of SOLOv2's kernels and of its mask features.
        mask_width: channels inside the branch of SOLOv2's mask features.
        mask_loss_weight: weight of the dice loss; that of the focal loss is 1.
        selection: how detections are selected.

    Raises:
        SeglibError: a value is out of range, or there is not one grid and one range per level.
    """

    variant: Variant = "solo"
    rules: SOLORules = GEOMETRIC
    min_size: int | None = 800
    max_size: int = 1333
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    stem: Stem = "imagenet"
    norm: Norm = "frozen"
    frozen_stages: int = 2
    fpn_width: int = 256
    grids: tuple[int, ...] = (40, 36, 24, 16, 12)
    scale_ranges: tuple[tuple[float, float], ...] = (
        (1, 96),
        (48, 192),
        (96, 384),
        (192, 768),
        (384, 2048),
    )
    centre_region: float = 0.2
    tower_width: int = 256
    tower_layers: int = 7
    kernel_channels: int = 256
    mask_width: int = 128
    mask_loss_weight: float = 3.0
    selection: Selection = PLAIN_SELECTION

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 0, 1, "centre_region")
        check_range(self, 0, inf, "scale_ranges", "mask_loss_weight")
        check_range(self, 1, inf, "min_size", "max_size", "width", "fpn_width", "grids")
        check_range(self, 1, inf, "tower_width", "tower_layers", "kernel_channels", "mask_width")
        check_range(self.selection, 0, 1, "score_threshold", "mask_threshold", "final_threshold")
        check_range(self.selection, 1, inf, "before_nms", "max_detections")
        levels = len(self.blocks) + 1
        if not len(self.grids) == len(self.scale_ranges) == levels:
            raise SeglibError(
                f"the pyramid has {levels} levels, grids={self.grids} and scale_ranges="
                f"{self.scale_ranges}: give one grid and one range per level"
            )

    @property
    def cells(self) -> int:
        """N, the number of cells of all grids."""
        return sum(side * side for side in self.grids)

    @classmethod
    def pocket(cls, variant: Variant = "v2") -> SOLOConfig:
        """About 2.2 M parameters; learns Pocket COCO at 128 px on two CPU cores.

        Backbone and pyramid are Mask R-CNN's, so that its weights fit. The scale ranges suit
        objects of 6 to 120 px and overlap as in the paper. Grids are coarser than 40 x 40, whose
        cells would be 3 px wide, less than the distance between any two centres.
        """
        return cls(
            square_canvas=True,
            variant=variant,
            min_size=None,
            blocks=(2, 2, 2, 1),
            bottleneck=False,
            width=32,
            stem="half",
            norm="batch",
            frozen_stages=0,
            fpn_width=64,
            grids=(24, 20, 16, 12, 8),
            scale_ranges=((0, 16), (11, 28), (20, 48), (34, 80), (56, 2048)),
            tower_width=64,
            tower_layers=3,
            kernel_channels=64,
            mask_width=48,
        )

    @classmethod
    def paper(cls, variant: Variant = "solo") -> SOLOConfig:
        """The published networks with ResNet-50, as in the official configs."""
        light: dict[str, Any] = {
            "min_size": 512,
            "max_size": 852,
            "scale_ranges": ((1, 64), (32, 128), (64, 256), (128, 512), (256, 2048)),
            "tower_layers": 4,
        }
        changed: dict[Variant, dict[str, Any]] = {
            "solo": {},
            "decoupled": {},
            "decoupled_light": light,
            "v2": {"tower_width": 512, "tower_layers": 4},
        }
        return cls(
            variant=variant, rules=OFFICIAL, selection=OFFICIAL_SELECTION, **changed[variant]
        )

    @classmethod
    def light_v2(cls) -> SOLOConfig:
        """The published light SOLOv2 for images of 448 px, with ResNet-50."""
        return cls(
            variant="v2",
            rules=OFFICIAL,
            selection=OFFICIAL_SELECTION,
            min_size=448,
            max_size=768,
            scale_ranges=((1, 56), (28, 112), (56, 224), (112, 448), (224, 896)),
            tower_layers=2,
            kernel_channels=128,
        )
