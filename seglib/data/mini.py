"""COCO mini: a few hundred real COCO 2017 images of chosen categories, and nothing else.

Images are fetched one by one. Their annotations are in a large zip file on the server: only the
bytes of the JSON file that is needed are fetched (by HTTP range requests), and the JSON is parsed
as a stream, so that all of COCO is never on the disk or in memory.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ijson
import requests
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seglib.atomic import write_atomic
from seglib.data.coco_fields import file_name, location, text, whole_number
from seglib.data.fetch import MissingError, Retry, TransientError, download
from seglib.data.images import open_image
from seglib.data.remote_member import fetch_member
from seglib.errors import SeglibError
from seglib.json_files import ShallowStream

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
        retry: for each download.
    """

    categories: tuple[str, ...] = DEFAULT_CATEGORIES
    images: int = 200
    source: str = "val2017"
    url: str = COCO_URL
    workers: int = 8
    retry: Retry = field(default_factory=Retry)


@dataclass
class Index:
    """The part of an annotation file that is needed to choose images, small enough for memory.

    Attributes:
        images: COCO image records by id.
        categories: COCO category records by name.
        category_ids_of: ids of the categories that have a non-crowd object, by image id.
    """

    images: dict[int, dict[str, Any]]
    categories: dict[str, dict[str, Any]]
    category_ids_of: dict[int, set[int]]


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


def read_index(annotation_file: Path) -> Index:
    """Read images, categories and which image shows which category, in one streamed pass each.

    Raises:
        SeglibError: the file is not JSON, or a record lacks a field or has a file name that leads
            out of the folder of images.
    """
    images, categories = {}, {}
    for where, record in _records(annotation_file, "images"):
        for name in ("width", "height"):
            whole_number(where, record, name)
        file_name(where, record)
        images[whole_number(where, record, "id")] = record
    for where, record in _records(annotation_file, "categories"):
        whole_number(where, record, "id")
        categories[text(where, record, "name")] = record
    category_ids_of: dict[int, set[int]] = defaultdict(set)
    for where, record in _records(annotation_file, "annotations"):
        image_id = whole_number(where, record, "image_id")
        if image_id not in images:
            raise SeglibError(
                f"{where} belongs to image {image_id}, which 'images' does not list: delete the "
                "file and run the command again"
            )
        if not record.get("iscrowd", 0):
            category_ids_of[image_id].add(whole_number(where, record, "category_id"))
    return Index(images, categories, dict(category_ids_of))


def _records(annotation_file: Path, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of one section of a COCO JSON file, one at a time, each with its location."""
    try:
        with annotation_file.open("rb") as file:
            stream = ShallowStream(file, annotation_file)
            for index, record in enumerate(ijson.items(stream, f"{section}.item", use_float=True)):
                if not isinstance(record, dict):
                    raise SeglibError(f"{annotation_file}: {section} {index} is not a record")
                yield location(annotation_file, section, index, record), record
    except (ijson.JSONError, ValueError, OverflowError) as error:
        raise SeglibError(
            f"{annotation_file} is not valid JSON ({error}): delete it and run the command again"
        ) from error


def choose_images(index: Index, names: Sequence[str]) -> list[int]:
    """Image ids that show the named categories, in the order to fetch them.

    The categories take turns, rarest first, so that any number of images is balanced.

    Args:
        index: from `read_index`.
        names: category names.

    Returns:
        all suitable image ids without duplicates, the same on every machine.
    """
    unknown = [name for name in names if name not in index.categories]
    if unknown or not names:
        raise SeglibError(
            f"unknown categories {', '.join(unknown) or '(none given)'}: "
            f"COCO has {', '.join(sorted(index.categories))}"
        )
    wanted = [int(index.categories[name]["id"]) for name in dict.fromkeys(names)]
    showing: dict[int, list[int]] = {category_id: [] for category_id in wanted}
    for image_id in sorted(index.category_ids_of):
        for category_id in index.category_ids_of[image_id] & showing.keys():
            showing[category_id].append(image_id)
    queues = sorted(showing.values(), key=len)
    longest = max(len(queue) for queue in queues)
    turns = (queue[turn] for turn in range(longest) for queue in queues if turn < len(queue))
    return list(dict.fromkeys(turns))


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
        for _, record in _records(annotation_file, "annotations")
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
