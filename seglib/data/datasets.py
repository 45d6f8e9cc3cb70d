"""One line gives the data of every lesson: `load_dataset()`.

    pocket      Pocket COCO, drawn by the course itself (the default)
    coco-mini   a few hundred real COCO images, fetched by `seglib data coco-mini`
    coco:PATH   any folder in COCO format

The environment variable SEGLIB_DATASET chooses for whoever names none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from seglib.data.assets import cache_dir, checkout_root
from seglib.data.coco import CocoFolder
from seglib.errors import SeglibError, unknown_name
from seglib.structures import COCO_AREA_RANGES, AreaRanges

SPLITS = ("train", "val")


def load_dataset(
    spec: str | None = None,
    split: str = "val",
    size: int | None = None,
    limit: int | None = None,
    categories: Sequence[str] | None = None,
    cache: bool = False,
) -> CocoFolder:
    """Open a dataset by name.

    Args:
        spec: "pocket", "coco-mini" or "coco:PATH"; None takes SEGLIB_DATASET, else "pocket". A
            relative PATH counts from the working folder, or else from the checkout's root, so
            that one setting serves the command line and the lessons.
        split: "train" or "val"; a folder that has only one of them uses it for both, and its
            `notes` say so.
        size: longer side in px that images and targets are resized to; None keeps every size.
        limit: the first so many images.
        categories: only these, by name.
        cache: keep samples in memory once read, for training.

    Raises:
        SeglibError: an unknown name or split, or a folder that is not there or not COCO.
    """
    spec = spec or os.environ.get("SEGLIB_DATASET") or "pocket"
    if split not in SPLITS:
        raise SeglibError(f"unknown split {split!r}: choose train or val")
    area_ranges: AreaRanges = COCO_AREA_RANGES
    if spec == "pocket":
        from seglib.data import pocket  # here, for drawing is needed by this dataset alone

        folder, name, area_ranges = pocket.ensure_pocket(split), spec, pocket.AREA_RANGES
    elif spec == "coco-mini":
        folder, name = _mini_folder(), spec
    elif spec.startswith("coco:"):
        folder = _existing_folder(spec.removeprefix("coco:"))
        name = f"coco:{folder.resolve().name}"
    else:
        raise unknown_name("data set", spec, ("pocket", "coco-mini", "coco:PATH"))
    annotations, notes = _find_annotations(folder, split)
    return CocoFolder(
        _find_images(folder, annotations),
        annotations,
        _find_panoptic(folder, annotations),
        name=name,
        split=split,
        categories=categories,
        size=size,
        limit=limit,
        area_ranges=area_ranges,
        cache=cache,
        notes=notes,
    )


def _mini_folder() -> Path:
    folder = cache_dir() / "coco-mini"
    if not (folder / "annotations").is_dir():
        raise SeglibError(f"COCO mini is not in {folder} yet: run `seglib data coco-mini` first")
    return folder


def _existing_folder(path: str) -> Path:
    if not path:
        raise SeglibError("coco: needs the path of a folder, such as coco:/data/coco")
    given = Path(path).expanduser()
    root = checkout_root()
    tried = [given] if given.is_absolute() or root is None else [given, root / given]
    for folder in tried:
        if folder.is_dir():
            return folder
    raise SeglibError(
        f"there is no folder {' or '.join(map(str, tried))}: coco:PATH names a folder with "
        "annotations/instances_val*.json and its images"
    )


def _find_annotations(folder: Path, split: str) -> tuple[Path, list[str]]:
    """The instance JSON of a split, or the other split's with a note that says so."""
    other = SPLITS[1 - SPLITS.index(split)]
    for wanted in (split, other):
        found = sorted((folder / "annotations").glob(f"instances_{wanted}*.json"))
        if not found:
            continue
        notes = []
        if len(found) > 1:
            notes.append(f"{len(found)} files of split {wanted}: reading {found[-1].name}")
        if wanted != split:
            notes.append(f"{folder.name} has no {split} split: its {wanted} split stands in for it")
        return found[-1], notes
    raise SeglibError(
        f"{folder} is not a COCO folder: it has no annotations/instances_train*.json and no "
        "annotations/instances_val*.json"
    )


def _find_images(folder: Path, annotations: Path) -> Path:
    """`instances_val2017.json` has its images in val2017/ or images/val2017/."""
    part = annotations.stem.removeprefix("instances_")
    candidates = [folder / part, folder / "images" / part, *sorted(folder.glob(f"{part}*/"))]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise SeglibError(f"{folder} has {annotations.name} but no folder {part} with its images")


def _find_panoptic(folder: Path, annotations: Path) -> tuple[Path, Path] | None:
    """The panoptic JSON with its folder of PNGs, when both are there."""
    part = annotations.stem.removeprefix("instances_")
    json_path = annotations.parent / f"panoptic_{part}.json"
    for maps in (folder / f"panoptic_{part}", annotations.parent / f"panoptic_{part}"):
        if json_path.is_file() and maps.is_dir():
            return json_path, maps
    return None
