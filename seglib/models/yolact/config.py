"""How a YOLACT is built: the numbers of model.py, for small images and as published."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf
from typing import Literal

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig, check_range
from seglib.models.yolact.conventions import CONVENTIONS, Conventions, Reference
from seglib.nn.norm import Norm
from seglib.nn.resnet import Stem
from seglib.ops.images import PIXEL_MEAN, PIXEL_STD

Suppression = Literal["fast", "greedy"]
BACKBONE_LEVELS = 3  # C3, C4, C5


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses in their sum; the defaults are those of the released code.

    Attributes:
        classes: weight of the class loss.
        boxes: weight of the box loss.
        masks: weight of the mask loss.
        semantic: weight of the auxiliary semantic loss.
        mask_iou: weight of the loss of the predicted mask IoUs; used only with re-scoring.
    """

    classes: float = 1.0
    boxes: float = 1.5
    masks: float = 6.125
    semantic: float = 1.0
    mask_iou: float = 25.0


PAPER_WEIGHTS = LossWeights()


@dataclass(frozen=True)
class YOLACTConfig(ModelConfig):
    """How a YOLACT is built; the defaults are the published ones, with ResNet-50.

    Attributes:
        conventions: whose details it follows, see conventions.py.
        blocks: residual blocks per stage; (3, 4, 23, 3) in the paper's base model.
        bottleneck: use bottleneck blocks instead of basic ones.
        width: channels of the backbone's first stage.
        stem: the backbone's first layers.
        norm: the backbone's normalisation.
        frozen_stages: parts of the backbone that do not train: 1 the stem, 2 also the first stage.
        fpn_width: F, channels of each level of the pyramid.
        extra_levels: number of levels of the pyramid after P5.
        anchor_sizes: square roots of the anchors' areas, in pixels, per level, finest first.
        anchor_ratios: ratios of width to height.
        prototypes: k, the number of prototypes.
        proto_width: channels of the protonet.
        proto_convolutions: number of its 3x3 layers before the upsampling.
        head_width: channels of the prediction head's shared layer.
        positive_iou: an anchor whose IoU with an object is at least this is positive.
        negative_iou: an anchor whose IoU with every object is below this is negative; in between,
            it has no loss.
        crowd_overlap: share of a negative anchor inside a crowd above which it has no loss.
        negatives: number of the hardest negatives per positive that have a class loss.
        masks_per_image: largest number of positives per image that have a mask loss.
        binary_targets: a cell of a mask target is 1 or 0; otherwise it is the share that the object
            covers, so that upsampling can restore an outline between two cells.
        loss_weights: weights of the losses in their sum.
        rescoring: predict the IoU of every mask and multiply scores by it (YOLACT++).
        score_threshold: score that a detection must exceed.
        suppression: "fast" or "greedy" NMS.
        across_classes: boxes suppress one another even if their classes differ.
        per_class: number of anchors per class that enter suppression.
        nms_iou: IoU above which the lower-scoring of two detections is removed.
        max_detections: largest number of detections per image.

    Raises:
        SeglibError: a value is out of range, the number of anchor levels is not that of the
            pyramid, or the thresholds are in the wrong order.
    """

    image_size: int | None = 550
    # The released code's rounding of ImageNet's mean and deviation.
    pixel_mean: tuple[float, float, float] = (123.68 / 255, 116.78 / 255, 103.94 / 255)
    pixel_std: tuple[float, float, float] = (58.40 / 255, 57.12 / 255, 57.38 / 255)
    conventions: Reference = "official"
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    stem: Stem = "imagenet"
    norm: Norm = "batch"
    frozen_stages: int = 0
    fpn_width: int = 256
    extra_levels: int = 2
    anchor_sizes: tuple[tuple[float, ...], ...] = ((24,), (48,), (96,), (192,), (384,))
    anchor_ratios: tuple[float, ...] = (1.0, 0.5, 2.0)
    prototypes: int = 32
    proto_width: int = 256
    proto_convolutions: int = 3
    head_width: int = 256
    positive_iou: float = 0.5
    negative_iou: float = 0.4
    crowd_overlap: float = 0.7
    negatives: int = 3
    masks_per_image: int = 100
    binary_targets: bool = True
    loss_weights: LossWeights = PAPER_WEIGHTS
    rescoring: bool = False
    score_threshold: float = 0.05
    suppression: Suppression = "fast"
    across_classes: bool = False
    per_class: int = 200
    nms_iou: float = 0.5
    max_detections: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 0, 1, "positive_iou", "negative_iou", "crowd_overlap")
        check_range(self, 0, 1, "score_threshold", "nms_iou")
        check_range(self, 0, inf, "extra_levels", "negatives")
        check_range(self.loss_weights, 0, inf, *asdict(self.loss_weights))
        check_range(self, 1, inf, "width", "fpn_width", "prototypes", "proto_width", "head_width")
        check_range(self, 1, inf, "proto_convolutions", "masks_per_image", "per_class")
        check_range(self, 1, inf, "max_detections", "blocks")
        self._check_anchors()
        if self.negative_iou > self.positive_iou:
            raise SeglibError(
                f"YOLACTConfig has negative_iou={self.negative_iou} above positive_iou="
                f"{self.positive_iou}: an anchor cannot be both"
            )
        if self.reference.square_input and self.image_size is None:
            raise SeglibError(
                f"YOLACTConfig has conventions={self.conventions!r} and no image_size: they "
                "stretch images to a square, so give its side"
            )

    def _check_anchors(self) -> None:
        sizes, ratios = self.anchor_sizes, self.anchor_ratios
        levels = BACKBONE_LEVELS + self.extra_levels
        counts = {len(level) for level in sizes}
        if len(sizes) != levels or len(counts) != 1 or 0 in counts or not ratios:
            raise SeglibError(
                f"anchor_sizes={sizes}, anchor_ratios={ratios}: give each of the {levels} levels "
                "the same number of sizes, at least one, and at least one ratio"
            )
        if not all(
            number > 0 for number in (*ratios, *(side for level in sizes for side in level))
        ):
            raise SeglibError(
                f"anchor_sizes={sizes}, anchor_ratios={ratios}: they must be positive numbers"
            )

    @property
    def reference(self) -> Conventions:
        """The choices that `conventions` names."""
        return CONVENTIONS[self.conventions]

    @property
    def anchors_per_cell(self) -> int:
        """A, the same at every level."""
        return len(self.anchor_sizes[0]) * len(self.anchor_ratios)

    @classmethod
    def pocket(cls) -> YOLACTConfig:
        """About 2.2 M parameters; learns Pocket COCO at 128 px on two CPU cores.

        The backbone is that of Mask R-CNN's pocket preset, so that training can start from its
        weights (`seglib train yolact --init mask_rcnn`). C3 to C5 have strides 4, 8 and 16, half
        of the published ones, so the prototypes have stride 2; one extra level of stride 32 is
        enough for objects of up to 120 px. Two anchor sizes per level give an object three times
        as many positives as one size. Mask targets are shares: rounded to 0 or 1, even perfect
        masks would reach an AP of only 0.75 on Pocket COCO, instead of 0.92.
        """
        return cls(
            square_canvas=True,
            augmentation="flip",
            image_size=None,
            pixel_mean=PIXEL_MEAN,
            pixel_std=PIXEL_STD,
            conventions="seglib",
            blocks=(2, 2, 2, 1),
            bottleneck=False,
            width=32,
            stem="half",
            norm="batch",
            fpn_width=64,
            extra_levels=1,
            anchor_sizes=((10, 14), (20, 28), (40, 56), (80, 112)),
            prototypes=32,
            proto_width=64,
            head_width=64,
            binary_targets=False,
        )

    @classmethod
    def paper(cls) -> YOLACTConfig:
        """The published network at 550 px, with ResNet-50."""
        return cls()
