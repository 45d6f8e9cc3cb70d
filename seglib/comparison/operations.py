"""Count multiply-adds: how much arithmetic a prediction needs, on any machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seglib.models.base import Segmenter
from seglib.ops.attention import attention
from seglib.primitives import use


def multiply_adds(model: Segmenter, images: Sequence[Tensor]) -> float:
    """The multiply-adds of `predict` per image.

    A multiplication and the addition of its product count as one. Convolutions, linear layers and
    matrix products are counted, including those in attention and in the mask IoU of NMS. Biases,
    normalisation, activations, pooling, resizing and RoIAlign are not.

    Args:
        model: any paradigm; the count may depend on the image, as the number of proposals does.
        images: float [3, H, W] in 0…1, predicted one by one.
    """
    # Not all versions of PyTorch count the operations of its fused attention.
    with _frozen(model), use(attention=attention.scratch):
        counter = FlopCounterMode(display=False)
        with counter:
            for image in images:
                model.predict([image])
    return counter.get_total_flops() / 2 / len(images)


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Turn gradients off in the block: the counter fails on parameters that require them."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
