"""DeepMask: Learning to Segment Object Candidates.

Pinheiro, Collobert, Dollár, NIPS 2015 (arXiv 1506.06204); its released code is the ResNet-50
version that SharpMask (arXiv 1603.08695) starts from.

The idea: one network looks through a window and answers two questions. What is the mask of the
object in the middle? And is there one, whole, centred, of the right size? Slid over the image at
several scales it proposes objects of any class: what R-CNN took from hand-made grouping.

    image -> resized by 2^-2 … 2^2, grey border of half a window
      backbone          features /8
      mask branch    1x1 conv + ReLU, linear to a code of rank R, linear to M x M: rank R at most
      score branch   linear layers on the code -> is this window on an object?
    windows of all scales, sorted by score -> the best N: mask, box, score. No suppression.

Training sees single windows ("patches") in canonical position or far from it, see canonical.py.
The full image needs no other network: a linear layer over a patch's cells is a convolution over
the image's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.distributed import global_mean_count, image_generators
from seglib.models.base import PIXEL_MEAN, PIXEL_STD, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.deepmask.config import DeepMaskConfig
from seglib.models.deepmask.network import ResNetBackbone, VGGBackbone, WindowNetwork
from seglib.models.deepmask.patches import GREY, Patches, PatchRules, sample_patches
from seglib.models.deepmask.soft_margin import soft_margin
from seglib.models.deepmask.windows import sliding_windows
from seglib.models.targets import check_targets
from seglib.nn.resnet import BasicBlock, Bottleneck
from seglib.ops.mask_paste import paste_masks
from seglib.ops.masks import masks_to_boxes
from seglib.ops.precision import at_least_float32
from seglib.ops.upsampling import interpolate
from seglib.structures import Categories, Instances, Prediction, Target, check_images

MASKS_AT_ONCE = 1 << 30  # bytes of proposals' masks that one image may take


@dataclass(eq=False)
class WindowLevel:
    """All windows of one image at one scale.

    Attributes:
        octave: log2 of the factor by which the image was resized.
        windows: [h, w, 4] corners in pixels of the original image.
        codes: [R, h, w], masks in short: `DeepMask.masks`.
        scores: [h, w] logits.
    """

    octave: float
    windows: Tensor
    codes: Tensor
    scores: Tensor


class DeepMask(Segmenter):
    """Class-agnostic object proposals: a mask and a score for every window.

    Attributes:
        network: see `seglib.models.deepmask.network`.
        mean_mask: [M, M] mean of the masks learned from, in 0…1: what a network that learned
            nothing but the canonical position would answer.
        masks_seen: how many those were.
    """

    name: ClassVar[str] = "deepmask"
    tasks: ClassVar[tuple[Task, ...]] = ("proposals",)
    config_class: ClassVar[type[ModelConfig]] = DeepMaskConfig
    config: DeepMaskConfig
    mean_mask: Tensor
    masks_seen: Tensor

    def __init__(self, config: DeepMaskConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        self.network = _build_network(config)
        self.register_buffer("mean_mask", torch.zeros(config.mask_size, config.mask_size))
        self.register_buffer("masks_seen", torch.zeros(()))
        self.rules = PatchRules(
            patch=config.patch,
            context=config.context,
            mask_side=config.mask_target,
            shift=config.shift,
            octaves=config.octaves,
            min_area=config.min_area,
            min_side=config.min_side,
            positive_share=config.positive_share,
            negatives=config.negatives,
            image_size=config.image_size,
        )

    @property
    def octaves(self) -> list[float]:
        """log2 of the factors by which images are resized, smallest image first."""
        low, high = self.config.octaves
        steps = round((high - low) / self.config.octave_step)
        return [low + self.config.octave_step * step for step in range(steps + 1)]

    def windows(self, size: tuple[int, int]) -> list[Tensor]:
        """Where the network looks in an image of (H, W), one [h, w, 4] of corners an octave."""
        patch, stride = self.config.patch, self.config.stride
        resized = [self._resized(size, octave) for octave in self.octaves]
        return [sliding_windows(size, some, patch, stride) for some in resized]

    def masks(self, codes: Tensor) -> Tensor:
        """[N, R] codes -> [N, M, M] mask logits."""
        return self.network.decode(codes)

    def forward(self, images: Sequence[Tensor]) -> list[list[WindowLevel]]:
        """Every window of every image, one `WindowLevel` an octave for each of them.

        Images are taken one by one: scale by scale they share nothing worth a common padding.
        """
        check_images(images)
        return [self._levels(image) for image in images]

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Soft-margin losses on patches cut from the images (section 3.2).

        Returns:
            "mask_loss": log(1 + exp(-y z)) averaged over a mask's pixels, for positives only;
            "score_loss": the same of the score, times 1/32. Both are summed over the patches and
            divided by their number, so their ratio is the paper's.
        """
        patches = self.draw(images, targets)
        count = global_mean_count(torch.tensor(float(len(patches.labels))))
        maps = self.network(self._normalised(patches.images))
        positive = patches.labels > 0
        with torch.autocast(patches.images.device.type, enabled=False):
            logits = self.masks(at_least_float32(maps.codes.flatten(1)[positive]))
            mask = self._mask_term(logits, patches.masks[positive]).sum() / count
            labels = patches.labels.to(maps.scores)
            score = soft_margin(maps.scores[:, 0, 0], labels).sum() / count
        if self.training:
            self._remember(patches.masks[positive])
        return {"mask_loss": mask, "score_loss": self.config.score_weight * score}

    def predict(self, images: Sequence[Tensor]) -> list[Prediction]:
        """The best-scored windows' masks as proposals, at most `config.proposals` an image.

        Fewer where their masks would take more than a GiB, and windows whose mask is empty are
        left out. Scores are probabilities, labels all 1, boxes tight around the masks.
        """
        check_images(images)
        with self.evaluating():
            return [self._propose(image) for image in images]

    def draw(self, images: Sequence[Tensor], targets: Sequence[Target]) -> Patches:
        """The training patches of a batch; what is drawn follows torch's generator.

        Raises:
            SeglibError: another number of targets than images, or masks of another size.
        """
        check_images(images)
        check_targets(images, targets)
        generators = image_generators([target.image_id for target in targets])
        like = self.mean_mask
        with torch.no_grad(), torch.autocast(like.device.type, enabled=False):
            return Patches.cat(
                [
                    sample_patches(
                        image.to(like), target, self.rules, self.config.patches, generator
                    )
                    for image, target, generator in zip(images, targets, generators, strict=True)
                ]
            )

    def _mask_term(self, logits: Tensor, masks: Tensor) -> Tensor:
        """[P, M, M] logits and [P, T, T] fractions -> [P], the mean over T x T pixels."""
        signs = (masks >= 0.5).to(logits) * 2 - 1
        return soft_margin(self._refined(logits), signs).mean(dim=(1, 2))

    def _refined(self, logits: Tensor) -> Tensor:
        """[P, M, M] logits -> [P, T, T], upsampled to the size that the loss compares at."""
        side = self.config.mask_target
        return interpolate(logits[:, None], (side, side), "bilinear")[:, 0]

    @torch.no_grad()
    def _remember(self, masks: Tensor) -> None:
        """Take [P, T, T] true masks into the mean."""
        if len(masks) == 0:
            return
        self.masks_seen += len(masks)
        size = self.config.mask_size
        total = F.adaptive_avg_pool2d(masks, size).sum(0)
        self.mean_mask += (total - len(masks) * self.mean_mask) / self.masks_seen

    def _levels(self, image: Tensor) -> list[WindowLevel]:
        size = (image.shape[-2], image.shape[-1])
        levels = []
        for octave, windows in zip(self.octaves, self.windows(size), strict=True):
            maps = self.network(self._padded(image, octave, windows.shape[:2]))
            levels.append(
                WindowLevel(octave, windows.to(maps.scores), maps.codes[0], maps.scores[0])
            )
        return levels

    def _padded(self, image: Tensor, octave: float, cells: tuple[int, ...]) -> Tensor:
        """The resized, normalised image [1, 3, h', w'] with grey around it for h x w windows."""
        resized = self._resized((image.shape[-2], image.shape[-1]), octave)
        small = F.interpolate(
            image.to(self.mean_mask)[None], size=resized, mode="bilinear", antialias=True
        )
        before = self.config.patch // 2 + self.config.context
        window = self.rules.window
        down, right = (
            (count - 1) * self.config.stride + window - side - before
            for count, side in zip(cells, resized, strict=True)
        )
        return self._normalised(F.pad(small, (before, right, before, down), value=GREY))

    def _normalised(self, images: Tensor) -> Tensor:
        mean = images.new_tensor(PIXEL_MEAN)[:, None, None]
        return (images - mean) / images.new_tensor(PIXEL_STD)[:, None, None]

    def _resized(self, size: tuple[int, int], octave: float) -> tuple[int, int]:
        """(H, W) that the network sees at an octave."""
        factor = 2.0**octave * self.rules.usual_factor(size)
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))

    def _propose(self, image: Tensor) -> Prediction:
        size = (image.shape[-2], image.shape[-1])
        levels = self._levels(image)
        scores = torch.cat([level.scores.flatten() for level in levels])
        windows = torch.cat([level.windows.flatten(0, 1) for level in levels])
        codes = torch.cat([level.codes.flatten(1).T for level in levels])
        room = max(1, MASKS_AT_ONCE // (size[0] * size[1]))
        best = scores.topk(min(self.config.proposals, len(scores), room)).indices
        soft = self._refined(self.masks(codes[best])).sigmoid()
        masks = paste_masks(soft, windows[best], size, self.config.mask_threshold)
        kept = masks.flatten(1).any(dim=1)
        masks, best = masks[kept], best[kept]
        proposals = Instances(
            boxes=masks_to_boxes(masks),
            scores=scores[best].sigmoid().float(),
            labels=torch.ones_like(best),
            masks=masks,
        )
        return Prediction(size, self.categories, proposals=proposals)


def _build_network(config: DeepMaskConfig) -> WindowNetwork:
    backbone: VGGBackbone | ResNetBackbone
    if config.variant == "vgg":
        backbone, channels = VGGBackbone(config.vgg_stages), config.vgg_stages[-1][-1]
    else:
        block = Bottleneck if config.bottleneck else BasicBlock
        resnet = ResNetBackbone(
            block,
            (*config.blocks, 1),
            width=config.width,
            stem=config.stem,
            replace_stride_with_dilation=(False, config.stride < config.backbone_stride, False),
        )
        backbone, channels = resnet, resnet.channels[2]
    return WindowNetwork(
        backbone,
        channels,
        config.patch // config.stride,
        margin=config.context // config.stride,
        reduced=config.reduced,
        rank=config.rank,
        mask_size=config.mask_size,
        score_widths=config.score_widths,
        shared_code=config.variant == "resnet",
        dropout=config.dropout,
    )
