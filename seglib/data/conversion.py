"""What the converters between formats of data sets share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from seglib.atomic import make_folder
from seglib.errors import SeglibError


@dataclass
class Conversion:
    """What was converted.

    Attributes:
        images: number of images.
        objects: number of objects.
        joined: objects of several parts or with holes, which became one polygon.
        crowds: objects left out because they are crowds.
        empty: objects left out because they have no pixel.
        lowest_iou: between the mask of an object before and after; 1 if all are the same.
    """

    images: int = 0
    objects: int = 0
    joined: int = 0
    crowds: int = 0
    empty: int = 0
    lowest_iou: float = 1.0


def check_empty(folder: Path) -> None:
    """Create a folder unless it exists; SeglibError if it contains anything."""
    make_folder(folder)
    if any(folder.iterdir()):
        raise SeglibError(f"{folder} is not empty: choose a new folder")


def copy_image(source: Path, target: Path) -> None:
    """Copy a file into a folder, which is created if necessary; SeglibError on failure."""
    make_folder(target.parent)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise SeglibError(f"cannot copy {source} to {target}: {error.strerror}") from error
