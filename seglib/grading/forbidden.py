"""Functions that an answer must not call, because it has to implement them; refused at run time.

A task declares it on the marker of its answer cell, by the names of groups, of seglib's
primitives, or of functions with their module:

    # %% id="nms" nbgrader="solution" forbidden="nms torch.unique"

This runs in the student's process. It stops students who take a short cut, and the report says so;
it cannot stop those who make the effort to disable it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seglib import ops, primitives

FUNCTIONAL = "torch.nn.functional"
GROUPS: dict[str, tuple[str, ...]] = {
    "convolution": (
        *(f"{FUNCTIONAL}.{name}" for name in ("conv1d", "conv2d", "conv3d", "unfold", "fold")),
        *(f"{FUNCTIONAL}.conv_transpose{n}d" for n in (1, 2, 3)),
        *(f"torch.conv{n}d" for n in (1, 2, 3)),
        *(f"torch.conv_transpose{n}d" for n in (1, 2, 3)),
        *("torch.convolution", "seglib.ops.im2col", "seglib.ops.col2im"),
        *("conv2d", "conv_transpose2d"),
    ),
    "normalisation": (
        *(f"{FUNCTIONAL}.{name}_norm" for name in ("batch", "instance", "layer", "group")),
        *("torch.batch_norm", "torch.native_batch_norm", "batch_norm"),
    ),
    "interpolation": (
        *(f"{FUNCTIONAL}.{name}" for name in ("interpolate", "upsample", "grid_sample")),
        "interpolate",
    ),
    "autograd": (
        *("torch.autograd.grad", "torch.autograd.backward", "torch.Tensor.backward"),
        *("torch.func.grad", "torch.func.vjp", "torch.func.jacrev"),
    ),
    "attention": (
        f"{FUNCTIONAL}.scaled_dot_product_attention",
        f"{FUNCTIONAL}.multi_head_attention_forward",
        *("attention", "multi_head_attention"),
    ),
    "nms": ("torchvision.ops.nms", "torchvision.ops.batched_nms", "seglib.ops.batched_nms", "nms"),
    "roi_align": ("torchvision.ops.roi_align", "roi_align"),
    "box_iou": ("torchvision.ops.box_iou", "box_iou"),
    "hungarian": ("scipy.optimize.linear_sum_assignment", "hungarian"),
}

_refused: dict[str, list[str]] = {}  # function of the student: what it must not call
_running: list[str] = []  # the student's functions that are being called now


class ForbiddenError(RuntimeError):
    """An answer called a function that it has to implement."""


def expand(names: str) -> list[str]:
    """The functions that a declaration names, with groups replaced by their members."""
    return [member for name in names.split() for member in GROUPS.get(name, (name,))]


def forbid(table: dict[str, str]) -> None:
    """Prepare to refuse functions.

    Args:
        table: name of the student's function -> what it must not call, as on the marker.
    """
    _refused.update({function: expand(names) for function, names in table.items()})
    for name in sorted({name for names in _refused.values() for name in names}):
        if "." in name:
            owner, _, attribute = name.rpartition(".")
            _replace(pkgutil.resolve_name(owner), attribute, name)
        else:
            for style in primitives.STYLES:
                _replace(getattr(ops, name), style, name)


def _replace(owner: Any, attribute: str, name: str) -> None:
    setattr(owner, attribute, _refusing(name, getattr(owner, attribute)))


def _refusing(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*arguments: Any, **named: Any) -> Any:
        if _running and name in _refused.get(_running[-1], ()):
            called = name if "." in name else f"seglib's {name}"
            raise ForbiddenError(f"{_running[-1]} must not call {called}: write it yourself")
        return function(*arguments, **named)

    return refuse


@contextmanager
def refused(function: str) -> Iterator[None]:
    """Within the block, refuse what this function of the student's must not call."""
    names = [name for name in _refused.get(function, ()) if "." not in name]
    bodies = {name: _refusing(name, primitives.active(name)) for name in names}
    _running.append(function)
    try:
        with primitives.use(**bodies):
            yield
    finally:
        _running.pop()
