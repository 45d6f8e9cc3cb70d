"""Open data sets by name: every lesson gets its data from one line, `load_dataset()`.

    pocket      Pocket COCO, drawn by the course itself (the default)
    coco-mini   a few hundred real COCO images, fetched by `seglib data coco-mini`
    coco:PATH   any folder in COCO format

The environment variable SEGLIB_DATASET sets the data set for calls that name none.
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
    faults: list[str] | None = None,
) -> CocoFolder:
    """Open a dataset by name.

    Args:
        spec: "pocket", "coco-mini" or "coco:PATH"; None means SEGLIB_DATASET or, if that is not
            set, "pocket". A relative PATH is looked up in the working folder, then in the root of
            the checkout, so that one setting serves the command line and the lessons.
        split: "train" or "val"; a folder that has only one of them uses it for both, and `notes`
            says so.
        size: resize images and targets to this longer side in px; None keeps the original sizes.
        limit: keep only the first `limit` images.
        categories: keep only these, by name.
        cache: keep samples in memory once read, for training.
        faults: see `CocoFolder`.

    Raises:
        SeglibError: an unknown name or split, or a folder that does not exist or is not COCO.
    """
    spec = spec or os.environ.get("SEGLIB_DATASET") or "pocket"
    if split not in SPLITS:
        raise SeglibError(f"unknown split {split!r}: choose train or val")
    area_ranges: AreaRanges = COCO_AREA_RANGES
    if spec == "pocket":
        from seglib.data import pocket  # here, because only this data set needs the drawing code

        enough = limit if categories is None else None  # a selection counts its own images
        folder, name, area_ranges = (
            pocket.ensure_pocket(split, limit=enough),
            spec,
            pocket.AREA_RANGES,
        )
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
        faults=faults,
    )


def _mini_folder() -> Path:
    folder = cache_dir() / "coco-mini"
    if not (folder / "annotations").is_dir():
        raise SeglibError(f"COCO mini is not in {folder} yet: run `seglib data coco-mini` first")
    return folder


def _existing_folder(path: str) -> Path:
    if not path:
        raise SeglibError("coco: needs the path of a folder, such as coco:/data/coco")
    as_given = Path(path).expanduser()
    root = checkout_root()
    tried = [as_given] if as_given.is_absolute() or root is None else [as_given, root / as_given]
    for folder in tried:
        if folder.is_dir():
            return folder
    raise SeglibError(
        f"there is no folder {' or '.join(map(str, tried))}: PATH in coco:PATH must be a folder "
        "with annotations/instances_val*.json and its images"
    )


def _find_annotations(folder: Path, split: str) -> tuple[Path, list[str]]:
    """The instance JSON of a split, or the other split's with a note that says so."""
    other = SPLITS[1 - SPLITS.index(split)]
    for candidate in (split, other):
        found = sorted((folder / "annotations").glob(f"instances_{candidate}*.json"))
        if not found:
            continue
        notes = []
        if len(found) > 1:
            notes.append(
                f"there are {len(found)} annotation files for {candidate}: using {found[-1].name}"
            )
        if candidate != split:
            notes.append(
                f"{folder.name} has no {split} split: its {candidate} split is used instead"
            )
        return found[-1], notes
    raise SeglibError(
        f"{folder} is not a COCO folder: it has no annotations/instances_train*.json and no "
        "annotations/instances_val*.json"
    )


def _find_images(folder: Path, annotations: Path) -> Path:
    """The folder of the images; those of `instances_val2017.json` are in [images/]val2017/."""
    name = annotations.stem.removeprefix("instances_")
    candidates = [folder / name, folder / "images" / name, *sorted(folder.glob(f"{name}*/"))]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise SeglibError(f"{folder} has {annotations.name} but no folder {name} with its images")


def _find_panoptic(folder: Path, annotations: Path) -> tuple[Path, Path] | None:
    """The panoptic JSON and the folder of its PNGs, if both exist."""
    name = annotations.stem.removeprefix("instances_")
    json_path = annotations.parent / f"panoptic_{name}.json"
    for maps in (folder / f"panoptic_{name}", annotations.parent / f"panoptic_{name}"):
        if json_path.is_file() and maps.is_dir():
            return json_path, maps
    return None
