"""Multiply-adds: how much arithmetic a prediction needs, whatever the machine."""

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

    A multiplication together with the addition of its product counts once. Convolutions, linear
    layers and products of matrices count, including those in attention and in the mask IoU of
    NMS. Biases, normalisation, activations, pooling, resizing and RoIAlign do not.

    Args:
        model: any paradigm; what depends on the image, such as the number of proposals, counts.
        images: float [3, H, W] in 0…1, predicted one by one.
    """
    # PyTorch's own fused attention is not counted by all of its versions; its products are.
    with _frozen(model), use(attention=attention.scratch):
        counter = FlopCounterMode(display=False)
        with counter:
            for image in images:
                model.predict([image])
    return counter.get_total_flops() / 2 / len(images)


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No parameter learns in the block: the counter fails on those whose gradients are stopped."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
