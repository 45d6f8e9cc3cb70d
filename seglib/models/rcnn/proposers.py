"""Sources of R-CNN's regions other than grouping."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from seglib.errors import SeglibError
from seglib.models.base import Segmenter

# An image [3, H, W] in 0…1 -> boxes [N, 4] inside it, best first.
Proposer = Callable[[Tensor], Tensor]


def proposals_of(model: Segmenter) -> Proposer:
    """The boxes that a model such as DeepMask proposes, best first.

    Raises:
        SeglibError: the model predicts no proposals.
    """
    if "proposals" not in model.tasks:
        raise SeglibError(f"{model.name} predicts {', '.join(model.tasks)}, but no proposals")

    def propose(image: Tensor) -> Tensor:
        proposals = model.predict([image])[0].proposals
        assert proposals is not None, "the model's tasks promise proposals"
        return proposals.boxes

    return propose
