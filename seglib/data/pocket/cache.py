"""Where Pocket COCO is stored: the validation split is committed, others are cached."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.data import assets
from seglib.data.pocket.classes import VERSION
from seglib.data.pocket.write import split_locked, write_split
from seglib.errors import SeglibError
from seglib.json_files import parse_json

SPLITS: dict[str, tuple[int, int]] = {"train": (4000, 1), "val": (300, 2)}
"""Name of a split: (number of images, seed)."""
PNG_END = b"IEND\xaeB`\x82"


def ensure_pocket(
    split: str, processes: int | None = None, progress: bool = True, limit: int | None = None
) -> Path:
    """The folder of a split, which is drawn first if necessary.

    A checkout contains the validation split in data/pocket. Any other split is drawn once into the
    cache, in about a minute on two cores, and compared with the published hash.

    Args:
        split: "train" or "val".
        processes: number of processes that draw; the number of CPUs if None.
        progress: report the drawing on standard error.
        limit: the first `limit` images are enough. If the split has not been drawn yet, then only
            these are, into a folder of their own.

    Returns:
        a folder with annotations/instances_{split}.json, annotations/panoptic_{split}.json and
        the images in {split}/ and panoptic_{split}/.

    Raises:
        SeglibError: an unknown split, or one whose hash differs from the published one.
    """
    if split not in SPLITS:
        raise SeglibError(f"Pocket COCO has no split {split!r}: choose one of {', '.join(SPLITS)}")
    committed = _committed()
    if committed is not None and (committed / "annotations" / f"instances_{split}.json").is_file():
        return committed
    folder = _drawn()
    count, seed = SPLITS[split]
    if _is_complete(folder, split, count):
        return folder
    if limit is not None and 0 < limit < count:
        folder, count = folder / f"first-{limit}", limit
    with split_locked(folder, split):
        if _is_complete(folder, split, count):  # drawn earlier, or by another process meanwhile
            return folder
        digest = write_split(folder, split, count, seed, processes, progress)
    expected = published_hash(split) if count == SPLITS[split][0] else None
    if expected is not None and digest != expected:
        (folder / "annotations" / f"instances_{split}.json").unlink()
        raise SeglibError(
            f"Pocket COCO {split}: the masks drawn here have the SHA-256 {digest[:12]}…, not the "
            f"published {expected[:12]}…: this machine draws differently, please report it"
        )
    return folder


def is_scene(path: Path) -> bool:
    """Whether a file is one of the drawn images, or a copy of one under its own name."""
    folders = [_committed(), _drawn()]
    originals = [f / split / path.name for f in folders if f is not None for split in SPLITS]
    return any(
        original.is_file() and filecmp.cmp(original, path, shallow=False) for original in originals
    )


def published_hash(split: str) -> str | None:
    """The split's hash in the manifest, or None without a manifest of this version."""
    manifest = Path(__file__).with_name("manifest.json")
    if not manifest.is_file():
        return None
    record = parse_json(manifest.read_text(encoding="utf-8"))
    return record["splits"].get(split) if record["version"] == VERSION else None


def folder_hash(folder: Path, split: str) -> str:
    """The hash that `write_split` returned, recomputed from the files of a split.

    Raises:
        SeglibError: a file of the split is missing.
    """
    digest = hashlib.sha256()
    paths = [folder / "annotations" / f"{kind}_{split}.json" for kind in ("instances", "panoptic")]
    for path in paths:
        if not path.is_file():
            raise SeglibError(f"{path} is missing: delete {folder} and draw Pocket COCO again")
    texts = [path.read_bytes() for path in paths]
    for record in json.loads(texts[1])["annotations"]:
        with Image.open(folder / f"panoptic_{split}" / record["file_name"]) as image:
            red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype("<i4"), -1, 0)
        digest.update((red + 256 * green + 65536 * blue).astype("<i4").tobytes())
    for text in texts:
        digest.update(text)
    return digest.hexdigest()


def _committed() -> Path | None:
    root = assets.checkout_root()
    return None if root is None else root / "data" / "pocket"


def _drawn() -> Path:
    return assets.cache_dir() / f"pocket-v{VERSION}"


def _is_complete(folder: Path, split: str, count: int) -> bool:
    """Whether a split is there, its JSON files and images whole to their last byte."""
    texts = [folder / "annotations" / f"{kind}_{split}.json" for kind in ("instances", "panoptic")]
    if not all(_ends_with(path, b"}") for path in texts):
        return False
    return all(
        sum(_ends_with(path, PNG_END) for path in (folder / name).glob("*.png")) == count
        for name in (split, f"panoptic_{split}")
    )


def _ends_with(path: Path, end: bytes) -> bool:
    try:
        with path.open("rb") as stream:
            stream.seek(-len(end), os.SEEK_END)
            return stream.read() == end
    except OSError:  # no such file, or a shorter one
        return False
