"""Training: `train` any Segmenter on any dataset, `overfit` one batch first, or take one step."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from seglib.training.config import TrainConfig
from seglib.training.history import History, Progress

if TYPE_CHECKING:
    from seglib.training.loop import overfit, train
    from seglib.training.step import train_step

__all__ = ["History", "Progress", "TrainConfig", "overfit", "train", "train_step"]
_FILES = {"overfit": "loop", "train": "loop", "train_step": "step"}


def __getattr__(name: str) -> Any:
    """Import what needs torch at its first use: `seglib train --help` needs only TrainConfig."""
    if name not in _FILES:
        raise AttributeError(f"module 'seglib.training' has no attribute {name!r}")
    return getattr(import_module(f"seglib.training.{_FILES[name]}"), name)
