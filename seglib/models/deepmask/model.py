"""DeepMask: Learning to Segment Object Candidates.

Pinheiro, Collobert, Dollár, NIPS 2015 (arXiv 1506.06204); its released code is the ResNet-50
version that SharpMask (arXiv 1603.08695) starts from.

The idea: one network looks through a window and answers two questions. What is the mask of the
object in the middle? And is there one, whole, centred, of the right size? Slid over the image at
several scales it proposes objects of any class, which R-CNN left to hand-made grouping.

    image -> resized by 2^-2 … 2^2, grey border of half a window
      backbone          features /8
      mask branch    1x1 conv + ReLU, linear to a code of rank R, linear to M x M: rank R at most
      score branch   linear layers on the code -> is this window on an object?
    windows of all scales, sorted by score -> the best N: mask, box, score. No suppression.

Training sees single windows ("patches"), in canonical position or far from it (patches.py). The
full image needs no other network: a linear layer over a patch's cells is a convolution over the
image's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from seglib.distributed import global_mean_count, image_generators
from seglib.models.base import OutputForm, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.deepmask.bounds import mean_mask_proposals, perfect_proposals
from seglib.models.deepmask.config import DeepMaskConfig
from seglib.models.deepmask.network import WindowNetwork
from seglib.models.deepmask.patches import GREY, Patches, large_enough, sample_patches
from seglib.models.deepmask.windows import sliding_windows
from seglib.models.targets import check_targets
from seglib.ops.images import normalise_pixels, scaled_size
from seglib.ops.mask_paste import paste_masks
from seglib.ops.masks import masks_to_boxes
from seglib.ops.upsampling import interpolate
from seglib.structures import Categories, Instances, Prediction, Target, check_images

MASK_BYTES = 1 << 29  # memory that the masks of one image's proposals may take


@dataclass(eq=False)
class WindowLevel:
    """All windows of one image at one scale.

    Attributes:
        octave: log2 of the factor by which the image was resized.
        windows: [h, w, 4] corners in pixels of the original image.
        codes: [R, h, w]; `DeepMask.mask_logits` decodes them.
        scores: [h, w] logits.
    """

    octave: float
    windows: Tensor
    codes: Tensor
    scores: Tensor


class DeepMask(Segmenter):
    """Class-agnostic object proposals: a mask and a score for every window.

    Attributes:
        network: maps normalised images to codes and scores, see network.py.
        mean_mask: [M, M] mean of all masks used in training, in 0…1: what a network that learned
            nothing but the canonical position would predict.
        masks_seen: scalar, the number of these masks.
    """

    name: ClassVar[str] = "deepmask"
    tasks: tuple[Task, ...] = ("proposals",)
    config_class: ClassVar[type[ModelConfig]] = DeepMaskConfig
    config: DeepMaskConfig
    mean_mask: Tensor
    masks_seen: Tensor

    def __init__(self, config: DeepMaskConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        self.network = WindowNetwork(config)
        self.register_buffer("mean_mask", torch.zeros(config.mask_size, config.mask_size))
        self.register_buffer("masks_seen", torch.zeros(()))

    def forward(self, images: Sequence[Tensor]) -> list[list[WindowLevel]]:
        """For each image, every window: one `WindowLevel` per octave.

        Images are processed one by one, since at each scale their sizes may differ too much for a
        shared batch.
        """
        check_images(images)
        return [self._levels(image) for image in images]

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Soft-margin losses on patches cut from the images (equation 1, section 3.2).

        Returns:
            "mask_loss": log(1 + exp(-y z)) averaged over a mask's pixels, for positives only;
            "score_loss": the same for the score, times 1/32. Both are summed over the patches and
            divided by the number of patches, so their ratio is the paper's.

        Raises:
            SeglibError: see `sample`.
        """
        patches = self.sample(images, targets)
        codes, scores = self.network(normalise_pixels(patches.images))  # [P, R, 1, 1], [P, 1, 1]
        count = global_mean_count(scores.new_tensor(len(patches.labels)))
        positive = patches.labels > 0  # [P], of which Q are true
        with torch.autocast(scores.device.type, enabled=False):
            logits = self.mask_logits(codes.flatten(1)[positive])  # [Q, T, T]
            signs = (patches.masks[positive] >= 0.5).to(logits) * 2 - 1  # [Q, T, T]
            # Negatives have no mask loss: the paper's factor (1 + y) / 2 is 0 for them.
            mask_loss = soft_margin(logits, signs).mean(dim=(1, 2))  # [Q]
            score_loss = soft_margin(scores[:, 0, 0], patches.labels.to(scores))  # [P]
        if self.training:
            self._update_mean_mask(patches.masks[positive])
        return {
            "mask_loss": mask_loss.sum() / count,
            # The paper's lambda, 1/32.
            "score_loss": self.config.score_weight * (score_loss.sum() / count),
        }

    def learnable_objects(self, target: Target) -> Tensor:
        """bool [N]: single objects that are not too small; see `DeepMaskConfig.min_area`."""
        return ~target.iscrowd & large_enough(target, target.size, self.config)

    def sample(self, images: Sequence[Tensor], targets: Sequence[Target]) -> Patches:
        """The training patches of a batch; torch's seed determines which.

        Raises:
            SeglibError: `check_images` or `check_targets` refuses the images or the targets.
        """
        check_images(images)
        check_targets(images, targets)  # classes are not told apart
        generators = image_generators([target.image_id for target in targets])
        like, count = self.mean_mask, self.config.patches
        with torch.autocast(like.device.type, enabled=False):
            return Patches.cat(
                [
                    sample_patches(image.to(like), target, self.config, count, generator)
                    for image, target, generator in zip(images, targets, generators, strict=True)
                ]
            )

    def mask_logits(self, codes: Tensor) -> Tensor:
        """[N, R] codes -> [N, T, T], upsampled to the size at which the loss compares masks."""
        logits = self.network.decode(codes)[:, None]  # [N, 1, M, M]
        side = self.config.mask_target
        return interpolate(logits, (side, side), "bilinear")[:, 0]  # [N, T, T]

    @torch.no_grad()
    def _update_mean_mask(self, masks: Tensor) -> None:
        """Add true masks [Q, T, T] to the running mean."""
        if len(masks) == 0:
            return
        self.masks_seen += len(masks)
        total = F.adaptive_avg_pool2d(masks, self.config.mask_size).sum(0)  # [M, M]
        self.mean_mask += (total - len(masks) * self.mean_mask) / self.masks_seen

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """The masks of the best-scored windows as proposals, at most `config.proposals` per image.

        There are fewer if their masks would need more than half a GiB, and windows whose mask is
        empty are left out. Scores are probabilities, all labels are 1, and boxes are tight.
        """
        return [self._propose(image) for image in images]

    def _propose(self, image: Tensor) -> Prediction:
        size = (image.shape[-2], image.shape[-1])
        levels = self._levels(image)
        scores = torch.cat([level.scores.flatten() for level in levels])  # [K]
        windows = torch.cat([level.windows.flatten(0, 1) for level in levels])  # [K, 4]
        codes = torch.cat([level.codes.flatten(1).T for level in levels])  # [K, R]
        room = max(1, MASK_BYTES // (size[0] * size[1]))
        best = scores.topk(min(self.config.proposals, len(scores), room)).indices  # [N]
        probabilities = self.mask_logits(codes[best]).sigmoid()  # [N, T, T]
        masks = paste_masks(probabilities, windows[best], size, self.config.mask_threshold)
        kept = masks.flatten(1).any(dim=1).nonzero().squeeze(1)  # [N']
        for place, row in enumerate(kept.tolist()):  # in place: a copy would double the memory
            if place != row:
                masks[place] = masks[row]
        masks, best = masks[: len(kept)], best[kept]  # [N', H, W], [N']
        proposals = Instances(
            boxes=masks_to_boxes(masks),
            scores=scores[best].sigmoid().float(),
            labels=torch.ones_like(best),
            masks=masks,
        )
        return Prediction(size, self.categories, proposals=proposals)

    def _levels(self, image: Tensor) -> list[WindowLevel]:
        levels = []
        size = (image.shape[-2], image.shape[-1])
        for octave, windows in zip(self.octaves, self.windows(size), strict=True):
            padded = self._padded(image, octave, (windows.shape[0], windows.shape[1]))
            codes, scores = self.network(padded)  # [1, R, h, w], [1, h, w]
            levels.append(WindowLevel(octave, windows.to(scores), codes[0], scores[0]))
        return levels

    def _padded(self, image: Tensor, octave: float, cells: tuple[int, int]) -> Tensor:
        """The resized, normalised image [1, 3, h', w'], with a grey border, for h x w windows."""
        size = self._resized((image.shape[-2], image.shape[-1]), octave)
        resized = F.interpolate(
            image.to(self.mean_mask)[None], size=size, mode="bilinear", antialias=True
        )
        before = self.config.patch // 2 + self.config.context
        down, right = (
            (count - 1) * self.config.stride + self.config.window - side - before
            for count, side in zip(cells, size, strict=True)
        )
        return normalise_pixels(F.pad(resized, (before, right, before, down), value=GREY))

    @property
    def octaves(self) -> list[float]:
        """log2 of the factors by which images are resized, smallest image first."""
        low, high = self.config.octaves
        steps = round((high - low) / self.config.octave_step)
        return [low + self.config.octave_step * step for step in range(steps + 1)]

    def windows(self, size: tuple[int, int]) -> list[Tensor]:
        """The windows of an image of (H, W): corners [h, w, 4] in its pixels, for each octave."""
        patch, stride = self.config.patch, self.config.stride
        resized = [self._resized(size, octave) for octave in self.octaves]
        return [sliding_windows(size, some, patch, stride) for some in resized]

    def _resized(self, size: tuple[int, int], octave: float) -> tuple[int, int]:
        """(H, W) that the network sees at an octave."""
        return scaled_size(size, 2.0**octave * self.config.base_scale(size))

    @property
    def output_form(self) -> OutputForm:
        """Masks of M x M cells in the windows of all scales."""
        cells = self.config.mask_size
        return OutputForm(
            f"a perfect network with these windows and {cells} x {cells} masks",
            baseline="the same windows with the mean training mask in random order",
        )

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """Each object from its best window; see `perfect_proposals`."""
        size = (image.shape[-2], image.shape[-1])
        check_targets([image], [target])
        proposals = perfect_proposals(self._all_windows(size), target, self.config)
        return Prediction(size, self.categories, proposals=proposals)

    def baseline(self, image: Tensor, generator: Generator) -> Prediction:
        """Windows in random order, each with the mean mask of training."""
        size = (image.shape[-2], image.shape[-1])
        windows, count = self._all_windows(size), self.config.proposals
        proposals = mean_mask_proposals(windows, self.mean_mask.cpu(), size, count, generator)
        return Prediction(size, self.categories, proposals=proposals)

    def _all_windows(self, size: tuple[int, int]) -> Tensor:
        return torch.cat([windows.flatten(0, 1) for windows in self.windows(size)])  # [K, 4]


def soft_margin(logits: Tensor, signs: Tensor) -> Tensor:
    """log(1 + exp(-y z)), element by element; near 0 where z is large and has y's sign.

    The cross-entropy of a sigmoid, for labels y of ±1 instead of 0 and 1 (section 3.2).

    Args:
        logits: z, any shape.
        signs: y, -1 or 1, the same shape.
    """
    return F.softplus(-signs * logits)
