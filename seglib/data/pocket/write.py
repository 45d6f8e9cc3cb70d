"""Write a split as a COCO folder: draw it in parallel, then move it into place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image

from seglib.data.pocket.annotate import annotate
from seglib.data.pocket.classes import SIZE, VERSION, category_records
from seglib.data.pocket.drawing_bar import drawing_bar
from seglib.data.pocket.scene import draw_scene
from seglib.errors import SeglibError
from seglib.locks import locked

_CHUNK = 25
Drawn = tuple[list[dict[str, Any]], list[dict[str, Any]], bytes]


def image_id(seed: int, index: int) -> int:
    """The COCO id of an image, unique over all splits."""
    return seed * 1_000_000 + index


def write_split(
    folder: Path | str,
    split: str,
    count: int,
    seed: int,
    processes: int | None = None,
    progress: bool = True,
) -> str:
    """Draw `count` scenes into a COCO folder.

    Writes annotations/instances_{split}.json, annotations/panoptic_{split}.json,
    {split}/{id:012d}.png and panoptic_{split}/{id:012d}.png. Other splits in the folder are kept;
    this one is replaced once all of it is drawn.

    Args:
        folder: created if necessary.
        split: name of the split, such as "train".
        count: number of scenes, with indices 0…count − 1.
        seed: identifies the set of scenes.
        processes: number of processes that draw; the number of CPUs if None.
        progress: report the drawing on standard error (see `drawing_bar`).

    Returns:
        the SHA-256 of all JSON and masks, the same on every machine.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with split_locked(folder, split):
        for abandoned in folder.glob(f".{split}-*/"):  # by a process that was killed
            shutil.rmtree(abandoned, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{split}-", dir=folder))
        try:
            digest = _draw(draft, split, count, seed, processes, progress)
            _install(draft, folder, split)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return digest


def split_locked(folder: Path, split: str) -> AbstractContextManager[None]:
    """Keep other processes from drawing a split; they wait."""
    return locked(folder / f".{split}.lock", wait=True)


def _draw(
    draft: Path, split: str, count: int, seed: int, processes: int | None, progress: bool
) -> str:
    for name in (split, f"panoptic_{split}", "annotations"):
        (draft / name).mkdir()
    images: list[dict[str, Any]] = []
    instances: list[dict[str, Any]] = []
    panoptic: list[dict[str, Any]] = []
    digest = hashlib.sha256()
    draw = partial(_draw_as_worker, os.getpid(), draft, split, seed)
    with drawing_bar(split, count, progress) as report:
        for index, (things, segments, masks) in enumerate(_scenes(draw, count, processes)):
            name = f"{image_id(seed, index):012d}.png"
            number = image_id(seed, index)
            images.append(
                {"id": number, "file_name": name, "width": SIZE, "height": SIZE, "license": 1}
            )
            for record in things:
                instances.append({"id": seed * 10_000_000 + len(instances) + 1, **record})
            panoptic.append({"image_id": number, "file_name": name, "segments_info": segments})
            digest.update(masks)
            report(index + 1)
    for kind, records in (("instances", instances), ("panoptic", panoptic)):
        digest.update(_write_json(draft, kind, split, images, records))
    return digest.hexdigest()


def _write_json(
    draft: Path,
    kind: str,
    split: str,
    images: list[dict[str, Any]],
    records: list[dict[str, Any]],
) -> bytes:
    """Write one annotation file; returns its bytes."""
    content = {
        **_header(split),
        "images": images,
        "annotations": records,
        "categories": category_records(),
    }
    data = json.dumps(content, separators=(",", ":")).encode("ascii")
    (draft / "annotations" / f"{kind}_{split}.json").write_bytes(data)
    return data


def draw_one(draft: Path, split: str, seed: int, index: int) -> Drawn:
    """Draw and save one scene; returns its records and the bytes of its segment map."""
    scene = draw_scene(seed, index)
    number = image_id(seed, index)
    records = annotate(scene, number)
    name = f"{number:012d}.png"
    _save(scene.image, draft / split / name)
    ids = records.segment_map.astype("<i4")
    # The lowest three bytes of an id are its red, green and blue.
    color = ids.view(np.uint8).reshape(SIZE, SIZE, 4)[:, :, :3]
    _save(color, draft / f"panoptic_{split}" / name)
    return records.instances, records.segments, ids.tobytes()


def _draw_as_worker(main: int, draft: Path, split: str, seed: int, index: int) -> Drawn:
    """`draw_one` in a process that ends when the main one, which may be killed, has ended."""
    if os.getpid() != main:
        _end_with(main)
    return draw_one(draft, split, seed, index)


@cache
def _end_with(main: int) -> None:
    """Watch the main process from now on."""

    def watch() -> None:
        while os.getppid() == main:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    """Save as PNG; run-length compression takes half the time, and the files are as small."""
    Image.fromarray(pixels).save(path, compress_level=1, compress_type=zlib.Z_RLE)


def _scenes(draw: partial[Drawn], count: int, processes: int | None) -> Iterator[Drawn]:
    """Every scene in order, drawn by several processes."""
    workers = max(
        1, min(processes or os.cpu_count() or 1, os.cpu_count() or 1, -(-count // _CHUNK))
    )
    if workers == 1:
        return map(draw, range(count))
    return _in_parallel(draw, count, workers)


def _in_parallel(draw: partial[Drawn], count: int, workers: int) -> Iterator[Drawn]:
    # joblib's fresh interpreters do not run the caller's script again, so a script without a
    # __main__ guard may load the data set.
    pool = Parallel(n_jobs=workers, batch_size=_CHUNK, return_as="generator")
    try:
        yield from pool(delayed(draw)(index) for index in range(count))
    except BrokenExecutor as error:
        raise SeglibError(
            "a process that drew Pocket COCO was killed, perhaps because memory ran out: "
            "run the same command again"
        ) from error


def _install(draft: Path, folder: Path, split: str) -> None:
    """Move the finished split into place, last the instances JSON, which readers look for."""
    (folder / "annotations").mkdir(exist_ok=True)
    for name in (split, f"panoptic_{split}"):
        shutil.rmtree(folder / name, ignore_errors=True)
        os.replace(draft / name, folder / name)
    for kind in ("panoptic", "instances"):
        name = f"{kind}_{split}.json"
        os.replace(draft / "annotations" / name, folder / "annotations" / name)


def _header(split: str) -> dict[str, Any]:
    return {
        "info": {
            "description": f"Pocket COCO {split}: procedurally drawn scenes for teaching",
            "version": str(VERSION),
            "year": 2026,
            "contributor": "seglib",
            "url": "",
            "date_created": "2026-01-01",
        },
        "licenses": [
            {"id": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}
        ],
    }
