"""How a DeepMask is built, trained and moved over images, small and as published."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig, check_range
from seglib.nn.resnet import STEM_STRIDES, Stem

Variant = Literal["vgg", "resnet"]
PocketVariant = Literal["narrow", "wide"]
NegativeRule = Literal["paper", "released"]


@dataclass(frozen=True)
class DeepMaskConfig(ModelConfig):
    """How a DeepMask is built, trained and used. Lengths are in patch pixels, see windows.py.

    Attributes:
        variant: "vgg" (VGG-A, as in the paper) or "resnet" (as released).
        patch: side of the window.
        context: margin around the patch that only the backbone sees; a multiple of the stride.
        stride: stride of the backbone's map, and distance from one window to the next.
        shift: how far an object may be off centre in a positive window, 16 of 224 as published;
            in a negative window it is off by more than twice that, or of another size.
        mask_size: M, side of the predicted mask.
        mask_target: T, side of the true mask in the loss, to which logits are upsampled.
        rank: R, rank of the mask layer.
        reduced: channels of the 1x1 convolution before the mask layer.
        score_widths: widths of the score branch's hidden layers.
        dropout: probability of dropout in the score branch.
        score_weight: weight of the score loss; that of the mask loss is 1.
        patches: number of patches sampled per image and training step.
        positive_share: share of the patches that show an object.
        negatives: how negative patches are chosen: by the rule of the "paper" (`window_labels`)
            or by that of the "released" code (`far_from_objects`).
        min_area: smallest area of objects that are sampled, in px² of the image at octave 0.
        min_side: smallest side of the boxes of objects that are sampled, in px at octave 0.
        octaves: lowest and highest log2 of the factors by which the image is resized. At octave 0
            it has the longer side `image_size`, or its own size if that is None.
        octave_step: distance from one scale to the next.
        proposals: N, the largest number of proposals per image.
        mask_threshold: probability that a pixel of a mask must reach.
        vgg_stages: vgg: channels of the convolutions.
        blocks: resnet: residual blocks of the three stages.
        bottleneck: resnet: use bottleneck blocks instead of basic ones.
        width: resnet: channels of the first stage.
        stem: resnet: "imagenet" has stride 4 before the first stage, "half" has stride 2.

    Raises:
        SeglibError: a value is out of range, or the stride does not divide the lengths.
    """

    variant: Variant = "resnet"
    patch: int = 160
    context: int = 16
    stride: int = 16
    shift: float = 16.0
    mask_size: int = 56
    mask_target: int = 112
    rank: int = 512
    reduced: int = 128
    score_widths: tuple[int, ...] = (1024,)
    dropout: float = 0.5
    score_weight: float = 1 / 32
    patches: int = 2
    positive_share: float = 0.5
    negatives: NegativeRule = "released"
    min_area: float = 100.0
    min_side: float = 5.0
    octaves: tuple[float, float] = (-2.5, 0.5)
    octave_step: float = 0.5
    proposals: int = 1000
    mask_threshold: float = 0.2
    vgg_stages: tuple[tuple[int, ...], ...] = ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2)
    blocks: tuple[int, ...] = (3, 4, 6)
    bottleneck: bool = True
    width: int = 64
    stem: Stem = "imagenet"

    @classmethod
    def pocket(cls, variant: PocketVariant = "narrow") -> DeepMaskConfig:
        """About 1 M parameters; the paper's lengths divided by four, for images of 128 px.

        Windows are 56 px wide, in steps of 8 px, and objects in them 32 px. The tolerance is 4 px,
        half a step, so that every object is canonical in some window. Nine scales from 1/4 to 4
        bring objects of 7 to 150 px to this size. Masks have 28 x 28 cells. Three patches of four
        show an object: the released code samples equal numbers for the mask, all with objects, and
        for the score, half of them with objects.

        The backbone begins at stride 2, not 4: a coarser, wider one with one block less reached an
        AR@100 of 0.51 instead of 0.54 in the same time (see data/checkpoints/README.md).

        In an image, the backbone sees pixels all around a window; in a patch, it sees zeros beyond
        the context. With 8 px of context ("narrow"), patches are quick to learn from. With 24 px
        ("wide"), they cost twice as much but look more like windows of an image, which suits the
        last part of training.

        Raises:
            SeglibError: the variant is neither "narrow" nor "wide".
        """
        if variant not in ("narrow", "wide"):
            raise SeglibError(
                f"DeepMask's pocket has no variant {variant!r}: choose narrow or wide"
            )
        return cls(
            image_size=128,
            patch=56,
            context=24 if variant == "wide" else 8,
            stride=8,
            shift=4.0,
            mask_size=28,
            mask_target=56,
            rank=128,
            reduced=64,
            score_widths=(256,),
            dropout=0.1,
            patches=8,
            positive_share=0.75,
            negatives="paper",
            min_area=4.0,
            min_side=1.0,
            octaves=(-2.0, 2.0),
            mask_threshold=0.3,
            blocks=(1, 1, 2),
            bottleneck=False,
            width=32,
            stem="half",
        )

    @classmethod
    def paper(cls, variant: Variant = "vgg") -> DeepMaskConfig:
        """The published network on VGG-A, or the released one on ResNet-50 ("resnet")."""
        if variant == "resnet":
            return cls()
        return cls(
            variant="vgg",
            patch=224,
            context=0,
            mask_target=224,
            reduced=512,
            score_widths=(512, 1024),
            negatives="paper",
            octaves=(-2.0, 1.0),
        )

    @property
    def window(self) -> int:
        """S, the side of the crops of an image: the patch with its context."""
        return self.patch + 2 * self.context

    @property
    def backbone_stride(self) -> int:
        """The stride of a ResNet's third stage; dilating that stage halves it."""
        return 4 * STEM_STRIDES[self.stem]

    def base_scale(self, size: tuple[int, int]) -> float:
        """The factor that resizes an image of (H, W) to octave 0."""
        return 1.0 if self.image_size is None else self.image_size / max(size)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 0, 1, "dropout", "positive_share", "mask_threshold")
        check_range(self, 1, inf, "mask_size", "mask_target", "rank", "reduced", "patches")
        check_range(self, 1, inf, "patch", "proposals", "width", "blocks", "score_widths")
        check_range(self, 1, inf, "vgg_stages")
        check_range(self, 0, inf, "context", "shift", "min_area", "min_side", "score_weight")
        check_range(self, 0.01, inf, "octave_step")
        if self.octaves[0] > self.octaves[1]:
            raise SeglibError(f"DeepMaskConfig has octaves={self.octaves}: the lower comes first")
        strides = (
            (16,) if self.variant == "vgg" else (self.backbone_stride // 2, self.backbone_stride)
        )
        if self.stride not in strides or self.patch % self.stride or self.context % self.stride:
            raise SeglibError(
                f"patch={self.patch}, context={self.context}, stride={self.stride}: the stride "
                f"is {' or '.join(map(str, strides))}, and patch and context are multiples of it"
            )
