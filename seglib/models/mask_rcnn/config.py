"""How a Mask R-CNN is built: the numbers of model.py, for small images and as published."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig, check_range
from seglib.models.mask_rcnn.conventions import CONVENTIONS, Conventions, Reference
from seglib.nn.norm import Norm
from seglib.nn.resnet import Stem
from seglib.ops.boxes import DeltaWeights

Pooling = Literal["align", "pool"]
MaskCompetition = Literal["sigmoid", "softmax"]


@dataclass(frozen=True)
class RPNRules:
    """The numbers of a region proposal network; the defaults are the papers'.

    Attributes:
        positive_iou: an anchor whose IoU with an object is at least this is positive.
        negative_iou: an anchor whose IoU with every object is below this is negative; in between,
            it has no loss.
        sampled: number of anchors per image that have a loss.
        positive_fraction: largest share of positives among them.
        before_nms: number of boxes per level that enter NMS, in training and in evaluation.
        after_nms: number of proposals per image, in training and in evaluation.
        nms_iou: IoU above which the lower-scoring of two proposals of a level is removed.
        min_size: length in pixels that both sides of a clipped proposal must exceed; 1e-3 in
            torchvision.
    """

    positive_iou: float = 0.7
    negative_iou: float = 0.3
    sampled: int = 256
    positive_fraction: float = 0.5
    before_nms: tuple[int, int] = (2000, 1000)
    after_nms: tuple[int, int] = (2000, 1000)
    nms_iou: float = 0.7
    min_size: float = 0.0


PAPER_RPN = RPNRules()


@dataclass(frozen=True)
class MaskRCNNConfig(ModelConfig):
    """How a Mask R-CNN is built.

    Attributes:
        conventions: the reference implementation that the model follows, see conventions.py.
        min_size: images are resized to this shorter side in pixels; None uses `image_size`.
        max_size: limit of the longer side in pixels, if min_size is given.
        blocks: residual blocks per stage.
        bottleneck: use bottleneck blocks instead of basic ones.
        width: channels of the backbone's first stage.
        stem: the backbone's first layers.
        norm: the backbone's normalisation.
        stride_in_1x1: bottleneck blocks have their stride in the first 1x1 convolution, as in the
            weights that detectron2 starts from, instead of in the 3x3.
        frozen_stages: parts of the backbone that do not train: 1 the stem, 2 also the first stage.
        fpn_width: F, channels of each level of the pyramid.
        pooled_level: add a coarser level to the pyramid, which only the RPN reads.
        anchor_sizes: sides of the anchors in pixels, per level. If there are fewer entries than
            levels, they belong to the coarsest ones, and the RPN does not read the others.
        anchor_ratios: ratios of height to width.
        canonical_size: side in pixels of the box that is read from the level of stride 16.
        rpn: numbers of the first stage.
        rois: number of boxes per image that the box head learns from.
        positive_fraction: largest share of foreground among them.
        foreground_iou: a proposal whose IoU with an object is at least this is foreground.
        box_weights: factors on the box head's deltas (x, y, width, height).
        box_hidden: width of the box head's two layers.
        box_bins: the box head reads box_bins x box_bins features per channel.
        mask_bins: the mask head reads mask_bins x mask_bins; its masks have twice the side.
        mask_width: channels of the mask head.
        mask_convolutions: number of 3x3 layers in the mask head before the upsampling.
        pooling: "align", or "pool" to measure the effect of rounding.
        mask_competition: "sigmoid", an independent mask per class, or "softmax", the ablation.
        score_threshold: score that a detection must exceed.
        nms_iou: IoU above which the lower-scoring of two detections of a class is removed.
        max_detections: largest number of detections per image.

    Raises:
        SeglibError: a value is out of range, a level or cell has no anchors, the anchors have more
            levels than the pyramid, or the thresholds are in the wrong order.
    """

    conventions: Reference = "torchvision"
    min_size: int | None = 800
    max_size: int = 1333
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    stem: Stem = "imagenet"
    norm: Norm = "frozen"
    stride_in_1x1: bool = False
    frozen_stages: int = 2
    fpn_width: int = 256
    pooled_level: bool = True
    anchor_sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    canonical_size: float = 224
    rpn: RPNRules = PAPER_RPN
    rois: int = 512
    positive_fraction: float = 0.25
    foreground_iou: float = 0.5
    box_weights: DeltaWeights = (10.0, 10.0, 5.0, 5.0)
    box_hidden: int = 1024
    box_bins: int = 7
    mask_bins: int = 14
    mask_width: int = 256
    mask_convolutions: int = 4
    pooling: Pooling = "align"
    mask_competition: MaskCompetition = "sigmoid"
    score_threshold: float = 0.05
    nms_iou: float = 0.5
    max_detections: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 0, 1, "positive_fraction", "foreground_iou", "score_threshold", "nms_iou")
        check_range(self.rpn, 0, 1, "positive_iou", "negative_iou", "positive_fraction", "nms_iou")
        check_range(self, 1, inf, "min_size", "max_size", "canonical_size", "width", "fpn_width")
        check_range(self, 1, inf, "rois", "box_hidden", "box_bins", "mask_bins", "mask_width")
        check_range(self, 1, inf, "max_detections")
        self._check_anchors()

    def _check_anchors(self) -> None:
        sides = [side for level in self.anchor_sizes for side in level]
        if len({len(level) for level in self.anchor_sizes}) != 1 or not sides:
            raise SeglibError(
                f"anchor_sizes={self.anchor_sizes}: give every level the same number of sizes, "
                "at least one"
            )
        if not self.anchor_ratios or not all(
            number > 0 for number in (*sides, *self.anchor_ratios)
        ):
            raise SeglibError(
                f"anchor_sizes={self.anchor_sizes}, anchor_ratios={self.anchor_ratios}: give at "
                "least one ratio, and positive numbers"
            )
        levels = len(self.blocks) + self.pooled_level
        if len(self.anchor_sizes) > levels:
            raise SeglibError(
                f"anchor_sizes has {len(self.anchor_sizes)} levels, the pyramid {levels}: give at "
                "most one tuple of sizes per level"
            )
        if self.rpn.negative_iou > self.rpn.positive_iou:
            raise SeglibError(
                f"rpn has negative_iou={self.rpn.negative_iou} above positive_iou="
                f"{self.rpn.positive_iou}: an anchor cannot be both"
            )

    @property
    def reference(self) -> Conventions:
        """The choices of the reference implementation that the model follows."""
        return CONVENTIONS[self.conventions]

    @classmethod
    def pocket(cls) -> MaskRCNNConfig:
        """About 2.8 M parameters; learns Pocket COCO at 128 px on two CPU cores.

        Pixel constants suit objects of 6 to 120 px. The RPN works at strides 4 to 32 with anchors
        of 10 to 80 px. The backbone has one finer stride, 2, from which the heads read boxes less
        than 64 px wide: wings and kite tails are 2 px thin, and with stride 4 everywhere the masks,
        not the boxes, limited the average precision.
        """
        return cls(
            conventions="detectron2",
            min_size=None,
            blocks=(2, 2, 2, 1),
            bottleneck=False,
            width=32,
            stem="half",
            norm="batch",
            frozen_stages=0,
            fpn_width=64,
            anchor_sizes=((10,), (20,), (40,), (80,)),
            canonical_size=256,
            rpn=RPNRules(sampled=128, before_nms=(200, 200), after_nms=(200, 100)),
            rois=64,
            box_hidden=256,
            mask_width=48,
            mask_convolutions=4,
        )

    @classmethod
    def paper(cls) -> MaskRCNNConfig:
        """The published network, as torchvision's `maskrcnn_resnet50_fpn`."""
        return cls(rpn=RPNRules(after_nms=(2000, 1000), min_size=1e-3))

    @classmethod
    def detectron2(cls) -> MaskRCNNConfig:
        """The same network as detectron2 trains it."""
        return cls(conventions="detectron2", rpn=RPNRules(after_nms=(1000, 1000)))
