"""How a PolarMask is built: the numbers of model.py, for small images and as published."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig, check_range
from seglib.nn.norm import Norm
from seglib.nn.resnet import Stem

# RGB mean of the ResNets converted from Caffe, whose images are not divided by a deviation.
CAFFE_MEAN = (122.7717 / 255, 115.9465 / 255, 102.9801 / 255)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)


@dataclass(frozen=True)
class PolarMaskConfig(ModelConfig):
    """How a PolarMask is built.

    Attributes:
        published: follow conventions of the authors' code that are unusual today but that their
            weights need: corners of boxes are the last pixels and sides are counted with + 1,
            centres of mass are rounded down, rays without a contour point within 3° get the
            length 1e-6, contours are rounded down before they are filled, boxes end at the last
            pixel's centre, and the class probability is multiplied by (centerness + 1/2), which
            may exceed 1.
        fixed_size: (H, W) to which images are resized, whatever their aspect ratio; None uses
            `image_size`.
        blocks: residual blocks per stage.
        bottleneck: use bottleneck blocks instead of basic ones.
        width: channels of the backbone's first stage.
        stem: the backbone's first layers.
        norm: the backbone's normalisation.
        stride_in_1x1: as in `MaskRCNNConfig`.
        frozen_stages: parts of the backbone that do not train: 1 the stem, 2 also the first stage.
        fpn_width: F, channels of each level of the pyramid.
        coarser_levels: number of levels after the backbone's, each with twice the stride.
        head_width: channels of the three towers.
        head_convolutions: number of 3x3 layers in each tower.
        ranges: for each level, the largest distance in pixels from a location to a side of the box
            that it predicts.
        radius: locations within this many strides of the centre of mass are positive.
        rays: n, the number of rays, at equal angles.
        box_loss: also learn boxes, which NMS compares.
        score_threshold: class probability that a candidate must exceed.
        before_nms: largest number of candidates per level that enter NMS.
        nms_iou: IoU above which the lower-scoring of two detections of a class is removed.
        max_detections: largest number of detections per image.

    Raises:
        SeglibError: a value is out of range, the rays do not divide 360, or there is not one range
            per level.
    """

    published: bool = True
    fixed_size: tuple[int, int] | None = None
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    stem: Stem = "imagenet"
    norm: Norm = "frozen"
    stride_in_1x1: bool = True
    frozen_stages: int = 2
    fpn_width: int = 256
    coarser_levels: int = 2
    head_width: int = 256
    head_convolutions: int = 4
    ranges: tuple[float, ...] = (64, 128, 256, 512, 1e8)
    radius: float = 1.5
    rays: int = 36
    box_loss: bool = True
    score_threshold: float = 0.05
    before_nms: int = 1000
    nms_iou: float = 0.5
    max_detections: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 0, 1, "score_threshold", "nms_iou")
        check_range(self, 1, inf, "width", "fpn_width", "head_width", "before_nms")
        check_range(self, 1, inf, "max_detections", "fixed_size", "blocks", "ranges")
        check_range(self, 0, inf, "coarser_levels", "head_convolutions", "radius")
        if self.rays < 3 or 360 % self.rays:
            raise SeglibError(f"rays={self.rays}: they must divide 360, and be at least 3")
        levels = len(self.blocks) - 1 + self.coarser_levels
        if len(self.ranges) != levels or list(self.ranges) != sorted(self.ranges):
            raise SeglibError(
                f"ranges={self.ranges}: give one for each of the {levels} levels, in rising order"
            )

    @classmethod
    def pocket(cls) -> PolarMaskConfig:
        """About 2.5 M parameters; learns Pocket COCO at 128 px on two CPU cores.

        The backbone is that of Mask R-CNN's pocket preset, so `--init mask_rcnn` starts from its
        weights. Three levels of strides 4, 8 and 16 detect objects of 6 to 120 px.
        """
        return cls(
            square_canvas=True,
            augmentation="flip",
            published=False,
            blocks=(2, 2, 2, 1),
            bottleneck=False,
            width=32,
            stem="half",
            norm="batch",
            stride_in_1x1=False,
            frozen_stages=0,
            fpn_width=64,
            coarser_levels=0,
            head_width=64,
            head_convolutions=3,
            ranges=(32, 64, 1e8),
            before_nms=200,
        )

    @classmethod
    def paper(cls) -> PolarMaskConfig:
        """The published network with ResNet-50 (`polar_768_1x_r50`)."""
        return cls(fixed_size=(768, 1280), pixel_mean=CAFFE_MEAN, pixel_std=CAFFE_STD)
