"""Transfer a trained model's weights to other classes or to another variant."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.structures import Categories

Slices = tuple[Tensor, Tensor]


def rehead(model: Segmenter, categories: Categories) -> Segmenter:
    """A copy of `model` for other categories; classes of the same name keep their weights.

    Tensors that do not depend on the classes are copied. Of those named in `class_parameters`,
    the slices of shared names and of background are copied; the slices of new names keep the
    values that a newly built model gives them.

    Args:
        model: not changed.
        categories: what the new model's labels mean.

    Returns:
        a new model with the same configuration, on the same device, in evaluation mode.
    """
    fresh = type(model)(model.config, categories).to(next(model.parameters()).device)
    state = fresh.state_dict()
    class_axes = model.class_parameters()
    for name, old in model.state_dict().items():
        if name not in class_axes:
            state[name] = old
            continue
        kept: list[Slices] = []
        for axis, (size, new_size) in enumerate(zip(old.shape, state[name].shape, strict=True)):
            if axis in class_axes[name]:
                kept.append(_shared(model.categories, categories, size, new_size))
            else:
                kept.append((torch.arange(size), torch.arange(size)))
        source = torch.meshgrid(*[s for s, _ in kept], indexing="ij")
        target = torch.meshgrid(*[t for _, t in kept], indexing="ij")
        state[name][target] = old[source]
    fresh.load_state_dict(state)
    return fresh.eval()


def _shared(old: Categories, new: Categories, size: int, new_size: int) -> Slices:
    """Which positions along a class axis to copy, and where to.

    Args:
        old: the trained classes.
        new: the new model's classes.
        size: length of the axis in the trained model: one block of entries per class, and
            usually one more for background, which comes first.
        new_size: length of the same axis in the new model.

    Returns:
        [K] positions in the old tensor and [K] in the new one.

    Raises:
        SeglibError: the axis does not divide into one block per class.
    """
    for background in (1, 0):
        block = size // (len(old) + background)
        if size == block * (len(old) + background) and new_size == block * (len(new) + background):
            break
    else:
        raise SeglibError(f"an axis of {size} entries does not divide into {len(old)} classes")
    pairs = {a - 1 + background: b - 1 + background for a, b in old.shared_with(new).items()}
    if background:
        pairs[0] = 0
    within = torch.arange(block)
    source = torch.tensor(list(pairs), dtype=torch.int64)[:, None] * block + within
    target = torch.tensor(list(pairs.values()), dtype=torch.int64)[:, None] * block + within
    return source.flatten(), target.flatten()


def copy_matching(model: Segmenter, trained: Segmenter) -> list[str]:
    """Copy every weight that has the same name and shape in both models.

    This starts one variant from another: an FCN-16s from a 32s lacks only the new skip.

    Args:
        model: changed in place.
        trained: a model for the same classes (see `rehead`).

    Returns:
        names in `model` that were not copied.

    Raises:
        SeglibError: the models have no weight in common.
    """
    trained_state = trained.state_dict()
    state = model.state_dict()
    fitting = {k: v for k, v in trained_state.items() if k in state and v.shape == state[k].shape}
    if not fitting:
        raise SeglibError(
            f"a trained {trained.name} has no layer in common with this {model.name}: "
            "start from a checkpoint of the same paradigm and preset"
        )
    model.load_state_dict(fitting, strict=False)
    return [name for name in state if name not in fitting]
