"""COCO mini: a few hundred real COCO 2017 images of chosen categories, and nothing else.

Images are fetched one by one. Their annotations are in a large zip file on the server: only the
bytes of the JSON file that is needed are fetched (by HTTP range requests), and the JSON is parsed
as a stream, so that all of COCO is never on the disk or in memory.
"""

from __future__ import annotations

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seglib.atomic import write_atomic
from seglib.data.fetch import MissingError, Retry, TransientError, download
from seglib.data.images import open_image
from seglib.data.mini_index import Index, choose_images, read_index, records
from seglib.data.remote_member import fetch_member
from seglib.errors import SeglibError

# The image host only supports plain http.
COCO_URL = "http://images.cocodataset.org"
ANNOTATIONS_ZIP = "annotations/annotations_trainval2017.zip"
DEFAULT_CATEGORIES = ("person", "dog", "cat", "car", "bird", "chair", "bottle", "cup")
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class MiniRequest:
    """What to fetch.

    Attributes:
        categories: COCO names, such as ("person", "dog").
        images: total number; a fifth of them becomes the validation split.
        source: "val2017" or "train2017" (whose annotations are a 450 MB JSON file).
        url: a server with COCO's layout.
        workers: parallel image downloads.
        retry: the number and spacing of the attempts at each download.
    """

    categories: tuple[str, ...] = DEFAULT_CATEGORIES
    images: int = 200
    source: str = "val2017"
    url: str = COCO_URL
    workers: int = 8
    retry: Retry = field(default_factory=Retry)


def fetch_mini(request: MiniRequest, folder: Path, progress: bool = True) -> Path:
    """Make `folder` a COCO folder with train and val splits of the requested images.

    A second call with the same request fetches only what is missing, even if the first was killed.

    Args:
        request: what to fetch.
        folder: where to create `annotations/`, `train/` and `val/`.
        progress: show a progress bar.

    Returns:
        `folder`.

    Raises:
        SeglibError: an unknown category, too few images, or a server that cannot be reached.
    """
    if request.source not in ("val2017", "train2017"):
        raise SeglibError(f"source must be val2017 or train2017, not {request.source!r}")
    if request.images < 2:
        raise SeglibError("COCO mini needs at least 2 images: one for train and one for val")
    annotation_file = fetch_annotations(request, folder)
    index = read_index(annotation_file)
    candidates = choose_images(index, request.categories)
    if len(candidates) < request.images:
        raise SeglibError(
            f"{request.source} has {len(candidates)} images of {', '.join(request.categories)}: "
            f"ask for at most that many instead of {request.images}, or for more categories"
        )
    chosen = _fetch_images(request, index, candidates, folder, progress)
    _write_splits(request, annotation_file, index, chosen, folder)
    return folder


def fetch_annotations(request: MiniRequest, folder: Path) -> Path:
    """Fetch `instances_<source>.json` from COCO's remote zip file."""
    name = f"instances_{request.source}.json"
    url = f"{request.url}/{ANNOTATIONS_ZIP}"
    return fetch_member(url, f"annotations/{name}", folder / "source" / name, request.retry)


def _fetch_images(
    request: MiniRequest, index: Index, candidates: list[int], folder: Path, progress: bool
) -> list[int]:
    """Fetch images until there are enough; a candidate that the server lacks is skipped."""
    chosen: list[int] = []
    remaining = iter(candidates)
    columns = (
        TextColumn("COCO mini"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images"),
        TimeRemainingColumn(),
    )
    with (
        Progress(*columns, disable=not progress) as bar,
        ThreadPoolExecutor(request.workers) as pool,
        requests.Session() as session,
    ):
        task = bar.add_task("images", total=request.images)

        def fetch(image_id: int) -> int | None:
            arrived = _fetch_image(request, index.images[image_id], folder, session)
            if arrived:
                bar.advance(task)
            return image_id if arrived else None

        while len(chosen) < request.images:
            wave = list(itertools.islice(remaining, request.images - len(chosen)))
            if not wave:
                raise SeglibError(
                    f"{request.url} has only {len(chosen)} of the {request.images} images: "
                    "ask for fewer"
                )
            chosen += [i for i in pool.map(fetch, wave) if i is not None]
    return chosen


def _fetch_image(
    request: MiniRequest, record: dict[str, Any], folder: Path, session: requests.Session
) -> bool:
    """Fetch one image to `folder`/images unless it is there; False if the server lacks it."""
    destination = folder / "images" / str(record["file_name"])
    expected = (int(record["width"]), int(record["height"]))

    def check(path: Path) -> None:
        try:
            size = open_image(path).size
        except SeglibError as error:
            raise TransientError(f"the image is incomplete: {error}") from error
        if size != expected:
            raise TransientError(f"the image is {size}, but its annotation says {expected}")

    if destination.exists():
        try:
            check(destination)
            return True
        except TransientError:
            destination.unlink()
    url = f"{request.url}/{request.source}/{record['file_name']}"
    try:
        download(url, destination, check=check, retry=request.retry, session=session)
    except MissingError:
        return False
    return True


def _write_splits(
    request: MiniRequest, annotation_file: Path, index: Index, chosen: list[int], folder: Path
) -> None:
    """Write the annotation files of both splits, which completes the folder."""
    held_out = max(1, round(len(chosen) * VALIDATION_SHARE))
    # Every n-th image, so that both splits have images of every category.
    step = len(chosen) / held_out
    validation = {chosen[int(i * step)] for i in range(held_out)}
    splits = {"val": validation, "train": set(chosen) - validation}
    categories = [index.categories[name] for name in dict.fromkeys(request.categories)]
    category_ids = {int(record["id"]) for record in categories}
    kept = [
        record
        for _, record in records(annotation_file, "annotations")
        if int(record["image_id"]) in splits["val"] | splits["train"]
        and int(record["category_id"]) in category_ids
    ]
    for split, image_ids in splits.items():
        _link_images(folder, split, [str(index.images[i]["file_name"]) for i in image_ids])
        content = {
            "info": {"description": f"COCO mini: {len(image_ids)} images of {request.source}"},
            "images": [index.images[i] for i in sorted(image_ids)],
            "annotations": [r for r in kept if int(r["image_id"]) in image_ids],
            "categories": sorted(categories, key=lambda record: int(record["id"])),
        }
        _write_json(folder / "annotations" / f"instances_{split}.json", content)


def _link_images(folder: Path, split: str, file_names: list[str]) -> None:
    """Make exactly these images the content of `folder`/`split`, by hard links if possible."""
    target = folder / split
    target.mkdir(exist_ok=True)
    for stale in target.iterdir():
        if stale.name not in file_names:
            stale.unlink()
    for name in file_names:
        if not (target / name).exists():
            _link_or_copy(folder / "images" / name, target / name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        write_atomic(target, lambda stream: stream.write(source.read_bytes()))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content).encode("utf-8")
    write_atomic(path, lambda stream: stream.write(text))
