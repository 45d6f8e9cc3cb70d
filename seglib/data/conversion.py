"""Shared parts of the converters between data set formats."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from seglib.atomic import make_folder
from seglib.errors import SeglibError


@dataclass
class Conversion:
    """The result of a conversion.

    Attributes:
        images: number of converted images.
        objects: number of converted objects.
        joined: number of objects with several parts or holes, which became one polygon each.
        crowds: number of crowds, which are left out.
        empty: number of objects without pixels, which are left out.
        lowest_iou: lowest IoU of an object's masks before and after the conversion, in 0…1.
    """

    images: int = 0
    objects: int = 0
    joined: int = 0
    crowds: int = 0
    empty: int = 0
    lowest_iou: float = 1.0


def check_empty(folder: Path) -> None:
    """Create a folder if it does not exist; raises SeglibError if it is not empty."""
    make_folder(folder)
    if any(folder.iterdir()):
        raise SeglibError(f"{folder} is not empty: choose a new folder")


def copy_image(source: Path, target: Path) -> None:
    """Copy a file into a folder, which is created if necessary; raises SeglibError on failure."""
    make_folder(target.parent)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise SeglibError(f"cannot copy {source} to {target}: {error.strerror}") from error
