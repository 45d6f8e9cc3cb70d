"""The images that `seglib predict` reads, and checks of the files that it writes."""

from __future__ import annotations

import os
from pathlib import Path

from seglib.cli.errors import say
from seglib.counted import counted
from seglib.errors import SeglibError

RESULTS = "predictions.json"


def find_images(paths: list[Path]) -> list[Path]:
    """The images that the paths name, those of a folder in alphabetical order.

    Raises:
        SeglibError: a path does not exist, there are no images, or two have the same name.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += _photographs(path)
        elif path.is_file():
            files.append(path)
        else:
            raise SeglibError(f"{path} does not exist: give a photograph, or a folder of them")
    if not files:
        raise SeglibError(f"no images in {', '.join(map(str, paths))}")
    stems = [file.stem for file in files]
    doubles = sorted({stem for stem in stems if stems.count(stem) > 1})
    if doubles:
        raise SeglibError(f"two images are called {doubles[0]}: predict them one by one")
    return files


def refuse_image(model: str) -> None:
    """Refuse a photograph where a model is expected, as in `seglib predict photo.jpg`."""
    from seglib.data.images import SUFFIXES

    if Path(model).suffix.lower() in SUFFIXES:
        raise SeglibError(
            f"{model} is not a model: name one before the image, as in `seglib predict mask_rcnn "
            f"{model}` or, for a photograph, `seglib predict maskrcnn_resnet50_fpn {model}`"
        )


def _photographs(folder: Path) -> list[Path]:
    """The images in a folder; image files that are left out are reported."""
    from seglib.data.images import SUFFIXES, UNREAD_SUFFIXES, is_companion

    images = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and p.is_file()]
    companions = [path.name for path in images if is_companion(path)]
    unread = [p.name for p in sorted(folder.iterdir()) if p.suffix.lower() in UNREAD_SUFFIXES]
    if companions:
        say(f"left out {counted(len(companions), 'hidden file')}, such as {companions[0]}")
    if unread:
        say(
            f"left out {counted(len(unread), 'file')} of a format that seglib does not read, such "
            f"as {unread[0]}: save as JPEG or PNG first"
        )
    return [path for path in images if not is_companion(path)]


def overlay_path(file: Path, out: Path) -> Path:
    """The path of an image's overlay."""
    return out / f"{file.stem}.png"


def check_outputs(files: list[Path], out: Path) -> None:
    """Refuse, before anything runs, to overwrite a photograph or to write where a folder is.

    Files are compared by identity instead of name, because of links and of systems that do not
    distinguish upper and lower case.
    """
    photographs = {_identity(file) for file in files}
    for target in (*(overlay_path(file, out) for file in files), out / RESULTS):
        if os.path.isdir(target):
            raise SeglibError(f"{target} is a folder: move it away or choose another --out")
        if os.path.exists(target) and _identity(target) in photographs:
            raise SeglibError(
                f"{target.name} would be overwritten by its own overlay: choose another --out"
            )


def _identity(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_dev, facts.st_ino
